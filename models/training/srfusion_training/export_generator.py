"""Write a trained generator as ONNX, check it, measure its receptive radius and record it in models.toml.

The graph is written node by node from the multiplied-out kernels rather than traced: a dozen Conv and Relu nodes, one
Add, and DepthToSpace, with the weights inside the file and batch, height and width free.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

from . import __version__, catalogue, train_generator
from .networks import SCALE, PlainGenerator, collapse, parameter_count

OPSET = 17
#: IR version of ONNX 1.12, the release that brought opset 17; newer ones are refused by older runtimes.
IR_VERSION = 8
#: Shapes n, h, w at which the file is compared with PyTorch.
PARITY_SHAPES = ((1, 24, 32), (3, 17, 5), (1, 1, 1), (2, 40, 23))
LICENCE = "MIT OR Apache-2.0"


def to_onnx(network: PlainGenerator, name: str) -> onnx.ModelProto:
    """The graph: ``input`` f32[n, 3, h, w] -> ``output`` f32[n, 3, 4h, 4w], RGB in 0..1, not clamped."""
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []

    def constant(key: str, value: np.ndarray) -> str:
        weights.append(numpy_helper.from_array(np.ascontiguousarray(value), key))
        return key

    def node(kind: str, inputs: list[str], output: str, **attributes: object) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def convolution(layer: torch.nn.Conv2d, source: str, key: str) -> str:
        kernel = constant(f"{key}.weight", layer.weight.detach().cpu().numpy())
        bias = constant(f"{key}.bias", layer.bias.detach().cpu().numpy())
        return node("Conv", [source, kernel, bias], key, kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 1])

    features = node("Relu", [convolution(network.head, "input", "head")], "features")
    y = features
    for index, layer in enumerate(network.body):
        y = node("Relu", [convolution(layer, y, f"body.{index}")], f"body.{index}.relu")
    detail = convolution(network.tail, node("Add", [y, features], "sum"), "tail")
    order = constant("order", np.repeat(np.arange(3, dtype=np.int64), SCALE**2))
    base = node("Gather", ["input", order], "base", axis=1)
    shuffled = node("Add", [detail, base], "planes")
    node("DepthToSpace", [shuffled], "output", blocksize=SCALE, mode="CRD")

    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["n", 3, "h4", "w4"])],
        weights,
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="srfusion_training",
        producer_version=__version__,
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def session(model: onnx.ModelProto | Path | str, threads: int = 1) -> onnxruntime.InferenceSession:
    """ONNX Runtime on the CPU for a graph or a file."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    source = model.SerializeToString() if isinstance(model, onnx.ModelProto) else str(model)
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def parity(model: onnx.ModelProto, network: torch.nn.Module, seed: int = 0) -> float:
    """Largest difference between ONNX Runtime and PyTorch over :data:`PARITY_SHAPES`, noise in 0..1 as input."""
    run, random, worst = session(model), np.random.default_rng(seed), 0.0
    for n, h, w in PARITY_SHAPES:
        x = random.random((n, 3, h, w), dtype=np.float32)
        with torch.no_grad():
            expected = network(torch.from_numpy(x)).numpy()
        (found,) = run.run(["output"], {"input": x})
        if found.shape != (n, 3, SCALE * h, SCALE * w):
            raise ValueError(f"output for {x.shape} has shape {found.shape}")
        worst = max(worst, float(np.abs(found - expected).max()))
    return worst


def receptive_radius(model: onnx.ModelProto, side: int = 65, seed: int = 0) -> int:
    """Low-resolution pixels over which a change of the middle pixel is felt, measured on noise.

    The pixel is set to black, white and two colours; every output sample that changes at all counts.
    """
    run, middle = session(model), side // 2
    image = np.random.default_rng(seed).random((1, 3, side, side), dtype=np.float32)
    (before,) = run.run(["output"], {"input": image})
    radius = 0
    for colour in ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (1.0, 0.0, 1.0), (0.0, 1.0, 0.0)):
        changed = image.copy()
        changed[0, :, middle, middle] = colour
        (after,) = run.run(["output"], {"input": changed})
        rows, columns = np.nonzero((before != after).any(axis=(0, 1)))
        if rows.size:
            reach = np.concatenate([np.abs(rows // SCALE - middle), np.abs(columns // SCALE - middle)])
            radius = max(radius, int(reach.max()))
    if radius >= middle:
        raise ValueError(f"the change reaches the border of a picture of {side} px; measure on a larger one")
    return radius


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``export-generator``."""
    parser.add_argument("--subject", choices=("general", "face"), required=True)
    parser.add_argument("--name", help="name in models.toml and of the file; default: SUBJECT-x4")
    parser.add_argument("--checkpoint", type=Path, help="default: SUBJECT.pt in the checkpoints' folder")
    parser.add_argument("--models", type=Path, default=catalogue.models_folder(), help="folder of models.toml")
    parser.add_argument("--trained-on", required=True, help="one sentence about the data, for models.toml")


def run(args: argparse.Namespace) -> int:
    """Export one generator."""
    name = args.name or f"{args.subject}-x4"
    checkpoint = train_generator.load_checkpoint(
        args.checkpoint or train_generator.default_checkpoints() / f"{args.subject}.pt"
    )
    if checkpoint["subject"] != args.subject:
        raise ValueError(f"the checkpoint was trained on {checkpoint['subject']}, not {args.subject}")
    trained = train_generator.averaged_network(checkpoint)
    network = collapse(trained)
    model = to_onnx(network, name)
    difference = parity(model, trained)
    if difference > 1e-4:
        raise ValueError(f"ONNX Runtime and PyTorch differ by {difference:.2e}")
    radius = receptive_radius(model)
    if radius > network.shape.radius:
        raise ValueError(f"measured radius {radius} is above the {network.shape.radius} of the convolutions")
    file = args.models / f"{name}.onnx"
    temporary = file.with_suffix(".onnx.tmp")
    temporary.write_bytes(model.SerializeToString())
    temporary.replace(file)
    entry = {
        "name": name,
        "role": "generator",
        "subject": args.subject,
        "file": file.name,
        "scale": SCALE,
        "layout": "nchw",
        "channels": "rgb",
        "range": [0.0, 1.0],
        "receptive-radius": radius,
        "parameters": parameter_count(network),
        "licence": LICENCE,
        "trained-on": args.trained_on,
    }
    written = catalogue.update(entry, args.models)
    print(
        f"{file}: {file.stat().st_size} bytes, {entry['parameters']} parameters, "
        f"{network.shape.multiply_adds} multiply-adds per pixel, radius {radius}, "
        f"{checkpoint['steps']} steps, differs from PyTorch by at most {difference:.1e}\nsha256 {written['sha256']}"
    )
    return 0
