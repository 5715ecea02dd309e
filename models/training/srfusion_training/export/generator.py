"""Write a trained generator as ONNX, check it, measure its receptive radius and record it in models.toml.

The graph is written node by node from the multiplied-out kernels rather than traced: a dozen Conv and Relu nodes, one
Add, and DepthToSpace, with the weights inside the file and batch, height and width free.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch

from .. import catalogue
from ..nets.compact import SCALE, PlainGenerator
from ..nets.rrdb import RRDB
from . import graph
from .session import session

#: Shapes n, h, w at which the file is compared with PyTorch.
PARITY_SHAPES = ((1, 24, 32), (3, 17, 5), (1, 1, 1), (2, 40, 23))
LICENCE = "MIT OR Apache-2.0"


def to_onnx(network: PlainGenerator | RRDB, name: str) -> onnx.ModelProto:
    """The graph: ``input`` f32[n, planes, h, w] -> ``output`` f32[n, planes, 4h, 4w], RGB or luma in 0..1, not clamped."""
    if isinstance(network, RRDB):
        return graph.rrdb(network, name)
    planes = network.shape.planes
    g = graph.Graph(name, planes)
    features = g.node("Relu", [g.convolution(network.head, "input", "head")], "features")
    y = features
    for index, layer in enumerate(network.body):
        y = g.node("Relu", [g.convolution(layer, y, f"body.{index}")], f"body.{index}.relu")
    detail = g.convolution(network.tail, g.node("Add", [y, features], "sum") if network.shape.skip else y, "tail")
    order = g.constant("order", np.repeat(np.arange(planes, dtype=np.int64), SCALE**2))
    base = g.node("Gather", ["input", order], "base", axis=1)
    shuffled = g.node("Add", [detail, base], "planes")
    g.node("DepthToSpace", [shuffled], "output", blocksize=SCALE, mode="CRD")
    return g.model()


def parity(model: onnx.ModelProto, network: torch.nn.Module, seed: int = 0) -> float:
    """Largest difference between ONNX Runtime and PyTorch over :data:`PARITY_SHAPES`, noise in 0..1 as input."""
    run, random, worst = session(model), np.random.default_rng(seed), 0.0
    planes = run.get_inputs()[0].shape[1]
    for n, h, w in PARITY_SHAPES:
        x = random.random((n, planes, h, w), dtype=np.float32)
        with torch.no_grad():
            expected = network(torch.from_numpy(x)).numpy()
        (found,) = run.run(["output"], {"input": x})
        if found.shape != (n, planes, SCALE * h, SCALE * w):
            raise ValueError(f"output for {x.shape} has shape {found.shape}")
        worst = max(worst, float(np.abs(found - expected).max()))
    return worst


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
        planes = model.graph.input[0].type.tensor_type.shape.dim[1].dim_value
        x = np.random.default_rng(0).random((1, planes, 24, 32), dtype=np.float32)
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
            "channels": "y" if copy.graph.input[0].type.tensor_type.shape.dim[1].dim_value == 1 else "rgb",
            "range": [0.0, 1.0],
            "receptive-radius": radius,
            "parameters": parameters,
            "licence": licence,
            "trained-on": trained_on,
        }
        written = catalogue.update(entry, models)
        print(f"{file}: {file.stat().st_size} bytes, {parameters} parameters, radius {radius}\nsha256 {written['sha256']}")
