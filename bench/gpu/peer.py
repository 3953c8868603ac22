"""Policy steps per second of PyTorch on CUDA in float32, for bench/gpu/run.ts. Needs torch and torch_model.py.

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

# In the archive it lies beside this file.
sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from torch_model import build, input_shape

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


def pass_of(architecture, batch, resident):
    import torch

    model = build(architecture).to(DEVICE)
    host = torch.randint(-127, 128, input_shape(architecture, batch), dtype=torch.int8)
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
