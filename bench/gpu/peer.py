"""Policy steps per second of PyTorch on CUDA, float32 without TF32, for bench/gpu/run.ts.

Reads one JSON object a line and answers with one: {"versions": true} with {"torch", "device"} (device is null without
CUDA); {batch, seconds, resident, architecture} with {"rate": steps per second of one turn}. Not resident: int8
observations go to the device and logits come back for every batch, as a miner's do. Resident: they stay there.
"""

import json
import sys
import time

try:
    import numpy
    import torch
except ImportError:
    torch = None


def build(architecture):
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    modules = []
    for layer in architecture["layers"]:
        if layer["type"] == "dense":
            if modules and isinstance(modules[-2], torch.nn.Conv2d):
                modules.append(torch.nn.Flatten())
            modules.append(torch.nn.Linear(layer["in"], layer["out"]))
        else:
            modules.append(torch.nn.Conv2d(layer["cin"], layer["cout"], layer["kernel"], layer["stride"]))
        modules.append(torch.nn.ReLU())
    return torch.nn.Sequential(*modules[:-1]).eval().cuda()


def shape(architecture, batch):
    first = architecture["layers"][0]
    if first["type"] == "dense":
        return (batch, architecture["observation"])
    return (batch, first["cin"], first["height"], first["width"])


def answer(question):
    if "versions" in question:
        if torch is None:
            return {"torch": None, "device": None}
        device = torch.cuda.get_device_name() if torch.cuda.is_available() else None
        return {"torch": torch.__version__, "device": device}
    batch = question["batch"]
    model = build(question["architecture"])
    values = numpy.random.default_rng(2).integers(-127, 128, shape(question["architecture"], batch))
    host = torch.from_numpy(values.astype(numpy.int8)).pin_memory()
    device = host.cuda().float()

    def once():
        if question["resident"]:
            model(device)
        else:
            model(host.cuda(non_blocking=True).float()).cpu()

    with torch.inference_mode():
        for _ in range(3):
            once()
        torch.cuda.synchronize()
        began = time.perf_counter()
        passes = 0
        while True:
            once()
            passes += 1
            if passes % 8 == 0 or not question["resident"]:
                torch.cuda.synchronize()
                took = time.perf_counter() - began
                if took >= question["seconds"]:
                    return {"rate": passes * batch / took}


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
