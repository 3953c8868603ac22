"""Whole rollouts of Gymnasium's vector environments with a PyTorch policy, for bench/rollouts/whole.ts.

Reads one JSON object a line and answers with one: {"versions": true}; {environment, envs, processes, how, seconds,
architecture} with {"rate": environment steps per second of all processes together}. `how` is "vectorised" (an
environment's own NumPy batch) or "sync" (SyncVectorEnv). Every process has envs / processes environments and
one thread; none commits to anything. Actions are drawn from the policy's softmax by Gumbel-max, resets included.
"""

import importlib.util
import json
import multiprocessing
import os
import sys
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from torch_model import build


def make(question, count):
    import gymnasium

    name = question["environment"]
    if name.startswith("MinAtar/"):
        import minatar.gym

        if name not in gymnasium.registry:
            minatar.gym.register_envs()
    if question["how"] == "vectorised":
        return gymnasium.make_vec(name, num_envs=count, vectorization_mode="vector_entry_point")
    return gymnasium.make_vec(name, num_envs=count, vectorization_mode="sync")


def work(question, count, barrier, results):
    import numpy
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(1)
    envs = make(question, count)
    model = build(question["architecture"])
    spatial = question["architecture"]["layers"][0]["type"] == "conv2d"
    observation, _ = envs.reset(seed=1)

    def step(observation):
        x = torch.from_numpy(numpy.ascontiguousarray(observation, dtype=numpy.float32))
        if spatial:
            x = x.permute(0, 3, 1, 2)
        with torch.inference_mode():
            logits = model(x)
            noise = torch.empty_like(logits).exponential_().log_()
            actions = (logits - noise).argmax(1)
        return envs.step(actions.numpy())[0]

    for _ in range(3):
        observation = step(observation)
    barrier.wait()
    began = time.perf_counter()
    steps = 0
    while True:
        observation = step(observation)
        steps += count
        took = time.perf_counter() - began
        if took >= question["seconds"]:
            break
    results.put(steps / took)
    envs.close()


def answer(question):
    if "versions" in question:
        names = ["gymnasium", "torch", "numpy"]
        found = {name: __import__(name).__version__ for name in names if importlib.util.find_spec(name)}
        found["minatar"] = "found" if importlib.util.find_spec("minatar") else None
        return found
    processes = question["processes"]
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(processes)
    results = context.Queue()
    count = question["envs"] // processes
    workers = [
        context.Process(target=work, args=(question, count, barrier, results)) for _ in range(processes)
    ]
    for worker in workers:
        worker.start()
    rate = sum(results.get() for _ in workers)
    for worker in workers:
        worker.join()
    return {"rate": rate}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)
