"""A second implementation of the exact policy, in Python, from docs/PROTOCOL.md alone: it makes exact-policy.json.

    pip install mpmath numpy
    python test/vectors/exact-policy.py > test/vectors/exact-policy.json
"""

import hashlib
import json
import math
import struct
import sys

import mpmath as mp
import numpy as np

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


FIELD = 21888242871839275222246405745257275088548364400416034343698204186575808495617


def grid(layer):
    return [(layer[side] - layer["kernel"]) // layer["stride"] + 1 for side in ("height", "width")]


def weights_and_biases(layer):
    if layer["type"] == "dense":
        return layer["in"] * layer["out"], layer["out"], layer["in"]
    inputs = layer["kernel"] ** 2 * layer["cin"]
    return inputs * layer["cout"], layer["cout"], inputs


def formula_tensors(architecture):
    """The tensors of make_tensors, as arrays of each layer's own shape."""
    tensors = []
    for index, layer in enumerate(architecture["layers"]):
        weights, biases, _ = weights_and_biases(layer)
        weight = (np.arange(weights, dtype=np.int64) * 37 + 11 * (index + 1)) % 255 - 127
        limit = layer["biasMax"]
        bias = (np.arange(biases, dtype=np.int64) * 7919 + 13) % (2 * limit + 1) - limit
        if layer["type"] == "conv2d":
            weight = weight.reshape(layer["cout"], layer["kernel"], layer["kernel"], layer["cin"])
        else:
            weight = weight.reshape(layer["out"], layer["in"])
        tensors.append((weight, bias))
    return tensors


def linear(layer, weight, x):
    """Wx of one layer, of a convolution position by position, flattened."""
    if layer["type"] == "dense":
        return weight @ x
    size, step = layer["kernel"], layer["stride"]
    image = x.reshape(layer["height"], layer["width"], layer["cin"])
    rows, columns = grid(layer)
    out = np.zeros((rows, columns, layer["cout"]), dtype=np.int64)
    # One shifted view of the whole image for each place of the kernel, not one patch after another.
    for dy in range(size):
        for dx in range(size):
            view = image[dy : dy + (rows - 1) * step + 1 : step, dx : dx + (columns - 1) * step + 1 : step]
            out += view @ weight[:, dy, dx].T
    return out.reshape(-1)


def run_arrays(architecture, tensors, observation):
    x = np.array(observation, dtype=np.int64)
    accumulators = []
    for layer, (weight, bias) in zip(architecture["layers"], tensors):
        y = linear(layer, weight, x)
        y = y + np.tile(bias, len(y) // len(bias))
        accumulators.append([int(v) for v in y])
        scaled = (y + 2 ** (layer["shift"] - 1)) // 2 ** layer["shift"]
        x = np.clip(scaled, 0, 127)
    return accumulators, [int(v) for v in scaled]


def fold(architecture, tensors, rho):
    """Fold vectors by definition: what each input of a layer adds to the sum of all accumulators, number o of the whole
    network weighing rho^(o+1): a list for each layer, and the sum of all biases."""
    vectors, constant, first = [], 0, 1
    for layer, (weight, bias) in zip(architecture["layers"], tensors):
        inputs = layer["in"] if layer["type"] == "dense" else layer["height"] * layer["width"] * layer["cin"]
        images = [linear(layer, weight, unit) for unit in np.eye(inputs, dtype=np.int64)]
        rows = len(images[0])
        powers = [pow(rho, first + o, FIELD) for o in range(rows)]
        weigh = lambda image: sum(power * int(v) for power, v in zip(powers, image)) % FIELD
        vectors.append([weigh(image) for image in images])
        constant += weigh(np.tile(bias, rows // len(bias)))
        first += rows
    return vectors, constant % FIELD


def conv(height, width, cin, cout, kernel, stride, shift, bias_max):
    keys = ("height", "width", "cin", "cout", "kernel", "stride", "shift", "biasMax")
    return {"type": "conv2d", **dict(zip(keys, (height, width, cin, cout, kernel, stride, shift, bias_max)))}


def dense(inputs, outputs, shift, bias_max):
    return {"type": "dense", "in": inputs, "out": outputs, "shift": shift, "biasMax": bias_max}


def minatar():
    """10 x 10 x 4, 3 x 3 x 16, 128, 6, with the shifts and bias bounds of the quantiser's rule."""
    layers = [conv(10, 10, 4, 16, 3, 1, 0, 0), dense(1024, 128, 0, 0), dense(128, 6, 0, 0)]
    for layer, a_in, weight, a_out in zip(layers, (0, 5, 5), (6, 7, 6), (5, 5, 10)):
        shift = a_in + weight - a_out
        rest = weights_and_biases(layer)[2] * 127 * 127 + 2 ** (shift - 1)
        bits = (rest + 2 * 2 ** (a_in + weight)).bit_length()
        step = 2 ** (shift + 1)
        layer["shift"] = shift
        layer["biasMax"] = min((2**bits - 1 - rest) // step * step, 2**17 // step * step)
    return {"observation": 400, "actions": 6, "layers": layers}


def convolution_vectors():
    rho = 0x0123456789ABCDEF0123456789ABCDEF
    uneven = [conv(4, 6, 3, 4, 3, 2, 6, 700), conv(1, 2, 4, 3, 1, 1, 5, 40), dense(6, 3, 4, 90)]
    row = [conv(5, 5, 2, 4, 3, 2, 6, 900), conv(2, 2, 4, 3, 2, 1, 5, 300), dense(3, 5, 4, 70), dense(5, 3, 3, 40)]
    vectors = []
    for architecture in (
        {"observation": 72, "actions": 3, "layers": uneven},
        {"observation": 50, "actions": 3, "layers": row},
        minatar(),
    ):
        tensors = formula_tensors(architecture)
        data = tensor_bytes([([int(v) for v in w.reshape(-1)], [int(v) for v in b]) for w, b in tensors])
        count = architecture["observation"]
        observation = [(i * 53 + 7) % 255 - 127 for i in range(count)]
        accumulators, logits = run_arrays(architecture, tensors, observation)
        trace = b"".join(struct.pack(f"<{len(y)}i", *y) for y in accumulators)
        by_layer, constant = fold(architecture, tensors, rho)
        folds = [*by_layer[0], constant, *(value for vector in by_layer[1:] for value in vector)]
        vectors.append(
            {
                "architecture": architecture,
                "canonicalArchitecture": canonical(architecture).decode(),
                "tensorLength": len(data),
                "policyRoot": "0x" + policy_root(architecture, data).hex(),
                "observation": observation,
                "accumulators": [y[:64] for y in accumulators],
                "traceSha256": "0x" + sha256(trace).hex(),
                "logits": logits,
                "rho": f"0x{rho:064x}",
                "foldCount": len(folds),
                "folds": [f"0x{value:064x}" for value in folds[:8]],
                "foldsSha256": "0x" + sha256(*(value.to_bytes(32, "big") for value in folds)).hex(),
                "observationFold": f"0x{(sum(v * x for v, x in zip(by_layer[0], observation)) + constant) % FIELD:064x}",
            }
        )
    return vectors


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
        "convolutions": convolution_vectors(),
    }
    json.dump(vectors, sys.stdout, separators=(",", ":"))
    sys.stdout.write("\n")


main()
