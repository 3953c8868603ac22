"""Policy steps per second of PyTorch on CUDA in float32, for bench/gpu/run.ts. Needs torch and nothing else.

Reads one JSON object a line and answers with one: {"hello": true} with {torch, cuda, device} or {missing: why}, and
{architecture, batch, seconds, resident} with {"rate": steps per second of one turn}. Layers are dense or convolutions
with ReLU between them, run eagerly, without TF32. Observations come from the host as int8 and logits go back to it,
unless `resident`: then they are on the device already and stay there.
"""

import json
import os
import signal
import sys
import time

# For trying this script where there is no GPU.
DEVICE = os.environ.get("GRAIL_PEER_DEVICE", "cuda")


def hello():
    try:
        import torch
    except Exception as error:
        return {"missing": f"{sys.executable} has no PyTorch ({error})"}
    if DEVICE == "cuda" and not torch.cuda.is_available():
        return {"missing": f"PyTorch {torch.__version__} finds no CUDA device"}
    name = torch.cuda.get_device_name() if DEVICE == "cuda" else DEVICE
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    return {"torch": torch.__version__, "cuda": torch.version.cuda, "device": name}


def model_of(architecture):
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
    return torch.nn.Sequential(*modules[:-1]).eval().to(DEVICE)


def pass_of(architecture, batch, resident):
    import torch

    model = model_of(architecture)
    first = architecture["layers"][0]
    shape = (
        (batch, architecture["observation"])
        if first["type"] == "dense"
        else (batch, first["cin"], first["height"], first["width"])
    )
    host = torch.randint(-127, 128, shape, dtype=torch.int8)
    if DEVICE == "cuda":
        host = host.pin_memory()
    device = host.to(DEVICE)
    wait = torch.cuda.synchronize if DEVICE == "cuda" else lambda: None

    @torch.inference_mode()
    def run():
        if resident:
            model(device.to(torch.float32))
            wait()
        else:
            model(host.to(DEVICE, non_blocking=True).to(torch.float32)).cpu()

    return run


passes = {}


def rate(question):
    key = json.dumps([question["architecture"], question["batch"], question["resident"]])
    if key not in passes:
        passes[key] = pass_of(question["architecture"], question["batch"], question["resident"])
        for _ in range(3):
            passes[key]()
    run = passes[key]
    run()
    began = time.perf_counter()
    count = 0
    while True:
        run()
        count += 1
        took = time.perf_counter() - began
        if took >= question["seconds"]:
            return {"rate": count * question["batch"] / took}


def answer(question):
    if "hello" in question:
        return hello()
    try:
        return rate(question)
    except RuntimeError as error:
        return {"error": str(error).split("\n")[0]}


# Ctrl-C is the benchmark's: it ends this by closing stdin.
signal.signal(signal.SIGINT, signal.SIG_IGN)
for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
