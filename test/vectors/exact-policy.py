"""A second implementation of the exact policy, in Python, from docs/PROTOCOL.md alone: it makes exact-policy.json.

    pip install mpmath
    python test/vectors/exact-policy.py > test/vectors/exact-policy.json
"""

import hashlib
import json
import math
import struct
import sys

import mpmath as mp

mp.mp.prec = 200
M32 = 0xFFFFFFFF


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def tag(name):
    return sha256(("grail/v1/" + name).encode())


def canonical(value):  # RFC 8785, for ASCII keys and integers
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def merkle(leaves):  # RFC 6962
    if not leaves:
        return sha256()
    if len(leaves) == 1:
        return sha256(b"\0", leaves[0])
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\1", merkle(leaves[:split]), merkle(leaves[split:]))


def build_mlp(widths, observation_bits, activation_bits, weight_bits):
    layers = []
    for index, weight in enumerate(weight_bits):
        a_in = observation_bits if index == 0 else activation_bits
        a_out = 10 if index == len(weight_bits) - 1 else activation_bits
        shift = a_in + weight - a_out
        rest = widths[index] * 127 * 127 + 2 ** (shift - 1)
        bits = (rest + 2 * 2 ** (a_in + weight)).bit_length()
        step = 2 ** (shift + 1)
        bias_max = min((2**bits - 1 - rest) // step * step, 2**17 // step * step)
        layers.append(
            {"type": "dense", "in": widths[index], "out": widths[index + 1], "shift": shift, "biasMax": bias_max}
        )
    return {"observation": widths[0], "actions": widths[-1], "layers": layers}


def make_tensors(architecture):
    tensors = []
    for index, layer in enumerate(architecture["layers"]):
        weight = [(i * 37 + 11 * (index + 1)) % 255 - 127 for i in range(layer["in"] * layer["out"])]
        limit = layer["biasMax"]
        bias = [(i * 7919 + 13) % (2 * limit + 1) - limit for i in range(layer["out"])]
        tensors.append((weight, bias))
    return tensors


def tensor_bytes(tensors):
    return b"".join(
        struct.pack(f"<{len(weight)}b", *weight) + struct.pack(f"<{len(bias)}i", *bias) for weight, bias in tensors
    )


def policy_root(architecture, data):
    chunks = [data[at : at + 65536] for at in range(0, len(data), 65536)]
    return sha256(tag("policy"), sha256(canonical(architecture)), merkle(chunks))


def run(architecture, tensors, observation):
    x = observation
    accumulators = []
    for layer, (weight, bias) in zip(architecture["layers"], tensors):
        width = layer["in"]
        y = [b + sum(weight[o * width + i] * x[i] for i in range(width)) for o, b in enumerate(bias)]
        accumulators.append(y)
        scaled = [(v + 2 ** (layer["shift"] - 1)) // 2 ** layer["shift"] for v in y]
        x = [min(max(v, 0), 127) for v in scaled]
    return accumulators, scaled


def philox(counter, key):
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p0 = 0xD2511F53 * c0
        p1 = 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & M32, (p0 >> 32) ^ c3 ^ k1, p0 & M32
        k0 = (k0 + 0x9E3779B9) & M32
        k1 = (k1 + 0xBB67AE85) & M32
    return c0, c1, c2, c3


def seed_block(seed, step, block):
    w0, w1, w2, w3 = struct.unpack(">4I", seed)
    return philox((step, block, w2, w3), (w0, w1))


def gumbel(k):
    return int(mp.floor(-1024 * mp.log(-mp.log((mp.mpf(k) + 0.5) / 65536)) + 0.5))


def noise(seed, step, actions):
    out = []
    for action in range(actions):
        half = action % 8
        word = seed_block(seed, step, action // 8)[half // 2]
        out.append(gumbel(word & 0xFFFF if half % 2 == 0 else word >> 16))
    return out


def sample(logits, seed, step):
    scores = [a + b for a, b in zip(logits, noise(seed, step, len(logits)))]
    return scores.index(max(scores))


def start(seed):
    return [(word + 0.5) / 4294967296 * 0.1 - 0.05 for word in seed_block(seed, 0, 0)]


def observe(state):
    ranges = (2.4, 3.0, 0.21, 3.5)
    return [max(-127, min(127, math.floor(v * 127 / r + 0.5))) for v, r in zip(state, ranges)]


def step_cartpole(state, action):
    x, x_dot, theta, theta_dot = state
    cos, sin = math.cos(theta), math.sin(theta)
    temp = ((10 if action == 1 else -10) + 0.05 * (theta_dot * theta_dot) * sin) / 1.1
    theta_acc = (9.8 * sin - cos * temp) / (0.5 * (4 / 3 - 0.1 * (cos * cos) / 1.1))
    x_acc = temp - 0.05 * theta_acc * cos / 1.1
    return [x + 0.02 * x_dot, x_dot + 0.02 * x_acc, theta + 0.02 * theta_dot, theta_dot + 0.02 * theta_acc]


def evaluate(architecture, tensors, seed, episodes):
    returns = []
    for episode in range(episodes):
        derive = lambda purpose: sha256(tag("evaluate"), seed, bytes([purpose]), struct.pack(">I", episode))[:16]
        state = start(derive(0))
        total = 0
        while True:
            _, logits = run(architecture, tensors, observe(state))
            state = step_cartpole(state, sample(logits, derive(1), total))
            total += 1
            if abs(state[0]) > 2.4 or abs(state[2]) > 12 * 2 * math.pi / 360 or total == 500:
                break
        returns.append(total)
    return returns


def main():
    architecture = build_mlp([4, 32, 32, 2], 6, 5, [4, 4, 6])
    tensors = make_tensors(architecture)
    data = tensor_bytes(tensors)
    seed = bytes(range(16))
    observation = [10, -20, 30, -127]
    accumulators, logits = run(architecture, tensors, observation)
    state = start(seed)
    after = step_cartpole(state, 1)
    vectors = {
        "origin": "test/vectors/exact-policy.py",
        "architecture": architecture,
        "canonicalArchitecture": canonical(architecture).decode(),
        "architectureHash": "0x" + sha256(canonical(architecture)).hex(),
        "policyTag": "0x" + tag("policy").hex(),
        "tensorLength": len(data),
        "tensorSha256": "0x" + sha256(data).hex(),
        "policyRoot": "0x" + policy_root(architecture, data).hex(),
        "observation": observation,
        "accumulators": accumulators,
        "logits": logits,
        "seed": "0x" + seed.hex(),
        "step": 5,
        "noise": noise(seed, 5, 10),
        "action": sample(logits, seed, 5),
        "cartPole": {
            "start": state,
            "observation": observe(state),
            "action": 1,
            "after": after,
            "observationAfter": observe(after),
        },
        "evaluation": {"seed": "0x" + bytes(32).hex(), "returns": evaluate(architecture, tensors, bytes(32), 5)},
    }
    json.dump(vectors, sys.stdout, separators=(",", ":"))
    sys.stdout.write("\n")


main()
