"""The network of an architecture in PyTorch, float32: dense layers and convolutions with ReLU between them."""


def build(architecture):
    import torch

    torch.manual_seed(1)
    modules = []
    for layer in architecture["layers"]:
        if layer["type"] == "dense":
            if modules and isinstance(modules[-2], torch.nn.Conv2d):
                modules.append(torch.nn.Flatten())
            module = torch.nn.Linear(layer["in"], layer["out"])
        else:
            module = torch.nn.Conv2d(layer["cin"], layer["cout"], layer["kernel"], layer["stride"])
        modules += [module, torch.nn.ReLU()]
    return torch.nn.Sequential(*modules[:-1]).eval()


def input_shape(architecture, batch):
    """[batch, observation], or [batch, channels, height, width] where the first layer is a convolution."""
    first = architecture["layers"][0]
    if first["type"] == "dense":
        return (batch, architecture["observation"])
    return (batch, first["cin"], first["height"], first["width"])
