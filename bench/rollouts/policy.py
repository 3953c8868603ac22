"""Policy steps per second of PyTorch and ONNX Runtime, float32 on one thread, for bench/rollouts.ts.

Reads one JSON object a line and answers with one: {"versions": true} with what is installed, {on, batch, seconds,
architecture} with {"rate": steps per second of one turn}. Layers are dense or convolutions with ReLU between them.
"""

import importlib.util
import json
import os
import sys
import time

import numpy

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from torch_model import build, input_shape


def shapes(architecture):
    random = numpy.random.default_rng(1)
    for layer in architecture["layers"]:
        if layer["type"] == "dense":
            weight = random.standard_normal((layer["out"], layer["in"]))
        else:
            kernel = layer["kernel"]
            weight = random.standard_normal((layer["cout"], layer["cin"], kernel, kernel))
        yield layer, weight.astype(numpy.float32) / 16


def observations(architecture, batch):
    shape = input_shape(architecture, batch)
    return numpy.random.default_rng(2).standard_normal(shape).astype(numpy.float32)


def with_torch(architecture, batch):
    import torch

    torch.set_num_threads(1)
    model = build(architecture)
    x = torch.from_numpy(observations(architecture, batch))

    def run():
        with torch.inference_mode():
            model(x)

    return run


def with_onnxruntime(architecture, batch):
    import onnx
    import onnxruntime

    nodes, weights = [], []
    name, spatial = "x", False
    layers = list(shapes(architecture))
    for index, (layer, weight) in enumerate(layers):
        dense = layer["type"] == "dense"
        weights.append(onnx.numpy_helper.from_array(weight, f"w{index}"))
        weights.append(onnx.numpy_helper.from_array(numpy.zeros(weight.shape[0], numpy.float32), f"b{index}"))
        if dense and spatial:
            nodes.append(onnx.helper.make_node("Flatten", [name], [f"f{index}"]))
            name = f"f{index}"
        spatial = not dense
        inputs = [name, f"w{index}", f"b{index}"]
        if dense:
            nodes.append(onnx.helper.make_node("Gemm", inputs, [f"y{index}"], transB=1))
        else:
            stride = [layer["stride"]] * 2
            nodes.append(onnx.helper.make_node("Conv", inputs, [f"y{index}"], strides=stride))
        name = f"y{index}"
        if index < len(layers) - 1:
            nodes.append(onnx.helper.make_node("Relu", [name], [f"r{index}"]))
            name = f"r{index}"
    x = observations(architecture, batch)
    info = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        nodes,
        "policy",
        [info("x", onnx.TensorProto.FLOAT, x.shape)],
        [info(name, onnx.TensorProto.FLOAT, (batch, architecture["actions"]))],
        weights,
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    return lambda: session.run(None, {"x": x})


PEERS = {"torch": with_torch, "onnxruntime": with_onnxruntime}
made = {}


def answer(question):
    if "versions" in question:
        found = [name for name in PEERS if importlib.util.find_spec(name)]
        if not importlib.util.find_spec("onnx") and "onnxruntime" in found:
            found.remove("onnxruntime")
        return {name: __import__(name).__version__ for name in found}
    key = json.dumps([question["on"], question["batch"], question["architecture"]])
    if key not in made:
        made[key] = PEERS[question["on"]](question["architecture"], question["batch"])
    run = made[key]
    run()
    began = time.perf_counter()
    passes = 0
    while True:
        run()
        passes += 1
        took = time.perf_counter() - began
        if took >= question["seconds"]:
            return {"rate": passes * question["batch"] / took}


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
