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

from . import catalogue, graph, train_generator
from .networks import SCALE, PlainGenerator, collapse, parameter_count
from .rrdb import RRDB

#: Shapes n, h, w at which the file is compared with PyTorch.
PARITY_SHAPES = ((1, 24, 32), (3, 17, 5), (1, 1, 1), (2, 40, 23))
LICENCE = "MIT OR Apache-2.0"


def to_onnx(network: PlainGenerator | RRDB, name: str) -> onnx.ModelProto:
    """The graph: ``input`` f32[n, 3, h, w] -> ``output`` f32[n, 3, 4h, 4w], RGB in 0..1, not clamped."""
    if isinstance(network, RRDB):
        return graph.rrdb(network, name)
    g = graph.Graph(name)
    features = g.node("Relu", [g.convolution(network.head, "input", "head")], "features")
    y = features
    for index, layer in enumerate(network.body):
        y = g.node("Relu", [g.convolution(layer, y, f"body.{index}")], f"body.{index}.relu")
    detail = g.convolution(network.tail, g.node("Add", [y, features], "sum"), "tail")
    order = g.constant("order", np.repeat(np.arange(3, dtype=np.int64), SCALE**2))
    base = g.node("Gather", ["input", order], "base", axis=1)
    shuffled = g.node("Add", [detail, base], "planes")
    g.node("DepthToSpace", [shuffled], "output", blocksize=SCALE, mode="CRD")
    return g.model()


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


def receptive_radius(model: onnx.ModelProto, side: int = 65, seed: int = 0, felt: float = 0.0) -> int:
    """Low-resolution pixels over which a change of the middle pixel is felt, measured on noise of ``side`` x ``side``.

    The pixel is set to black, white and two colours; every output sample that changes by more than ``felt`` counts.
    """
    run, middle = session(model), side // 2
    image = np.random.default_rng(seed).random((1, 3, side, side), dtype=np.float32)
    (before,) = run.run(["output"], {"input": image})
    radius = 0
    for colour in ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (1.0, 0.0, 1.0), (0.0, 1.0, 0.0)):
        changed = image.copy()
        changed[0, :, middle, middle] = colour
        (after,) = run.run(["output"], {"input": changed})
        rows, columns = np.nonzero((np.abs(before - after) > felt).any(axis=(0, 1)))
        if rows.size:
            reach = np.concatenate([np.abs(rows // SCALE - middle), np.abs(columns // SCALE - middle)])
            radius = max(radius, int(reach.max()))
    if radius >= middle:
        raise ValueError(f"the change reaches the border of a picture of {side} px; measure on a larger one")
    return radius


def write(
    model: onnx.ModelProto,
    name: str,
    subject: str,
    radius: int,
    parameters: int,
    licence: str,
    trained_on: str,
    models: Path,
    fp16: bool = False,
) -> None:
    """Write ``NAME.onnx`` and its entry in models.toml; with ``fp16`` also ``NAME-fp16.onnx``, which computes in 16 bits and
    takes and gives 32. How far that is from the other is said."""
    copies = {name: model}
    if fp16:
        copies[f"{name}-fp16"] = graph.to_fp16(model)
        x = np.random.default_rng(0).random((1, 3, 24, 32), dtype=np.float32)
        full, half = (session(copy).run(["output"], {"input": x})[0] for copy in copies.values())
        print(f"{name}-fp16: differs from 32 bits by at most {np.abs(full - half).max():.1e}")
    models.mkdir(parents=True, exist_ok=True)
    for key, copy in copies.items():
        file = models / f"{key}.onnx"
        temporary = file.with_suffix(".onnx.tmp")
        temporary.write_bytes(copy.SerializeToString())
        temporary.replace(file)
        entry = {
            "name": key,
            "role": "generator",
            "subject": subject,
            "file": file.name,
            "scale": SCALE,
            "layout": "nchw",
            "channels": "rgb",
            "range": [0.0, 1.0],
            "receptive-radius": radius,
            "parameters": parameters,
            "licence": licence,
            "trained-on": trained_on,
        }
        written = catalogue.update(entry, models)
        print(f"{file}: {file.stat().st_size} bytes, {parameters} parameters, radius {radius}\nsha256 {written['sha256']}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``export-generator``."""
    parser.add_argument("--subject", choices=("general", "face"), required=True)
    parser.add_argument("--name", help="name in models.toml and of the file; default: SUBJECT-x4")
    parser.add_argument("--checkpoint", type=Path, help="default: SUBJECT.pt in the checkpoints' folder")
    parser.add_argument("--models", type=Path, default=catalogue.models_folder(), help="folder of models.toml")
    parser.add_argument("--licence", default=LICENCE, help="of the weights")
    parser.add_argument("--fp16", action="store_true", help="also write NAME-fp16.onnx, with an entry of its own")
    parser.add_argument("--trained-on", required=True, help="one sentence about the data, for models.toml")


def run(args: argparse.Namespace) -> int:
    """Export one generator."""
    name = args.name or f"{args.subject}-x4"
    checkpoint = train_generator.load_checkpoint(
        args.checkpoint or train_generator.default_checkpoints() / f"{args.subject}.pt"
    )
    if checkpoint["subject"] not in (args.subject, "mixed"):
        raise ValueError(f"the checkpoint was trained on {checkpoint['subject']}, not {args.subject}")
    trained = train_generator.averaged_network(checkpoint)
    network = trained if isinstance(trained, RRDB) else collapse(trained)
    model = to_onnx(network, name)
    difference = parity(model, trained)
    if difference > 1e-4:
        raise ValueError(f"ONNX Runtime and PyTorch differ by {difference:.2e}")
    if isinstance(network, RRDB):
        from . import convert  # imports this module

        radius = convert.measured_radius(model)
    else:
        radius = receptive_radius(model)
    if radius > network.shape.radius:
        raise ValueError(f"measured radius {radius} is above the {network.shape.radius} of the convolutions")
    write(model, name, args.subject, radius, parameter_count(network), args.licence, args.trained_on, args.models, args.fp16)
    print(
        f"{network.shape.multiply_adds} multiply-adds per pixel, {checkpoint['steps']} steps, "
        f"differs from PyTorch by at most {difference:.1e}"
    )
    return 0
