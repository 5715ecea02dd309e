"""Generators that ``export-generator`` wrote, read back from ONNX, to train on from the file that ships."""

from __future__ import annotations

from pathlib import Path

import onnx
import torch
from onnx import numpy_helper

from ..nets.compact import SCALE, Generator, GeneratorShape


def read(file: Path) -> Generator:
    """The compact network of an exported float32 file, with plain convolutions. ValueError if the file is of another kind."""
    if not file.exists():
        raise FileNotFoundError(f"{file}: no such file")
    model = onnx.load(str(file))
    values = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    count = sum(name.startswith("body.") and name.endswith(".weight") for name in values)
    layers = ["head", *(f"body.{index}" for index in range(count)), "tail"]
    missing = [f"{layer}.{part}" for layer in layers for part in ("weight", "bias") if f"{layer}.{part}" not in values]
    if missing:
        raise ValueError(f"{file}: has no {', '.join(missing[:3])}: it is no generator that export-generator wrote in float32")
    head, tail = values["head.weight"], values["tail.weight"]
    if tail.shape[0] != head.shape[1] * SCALE**2:
        raise ValueError(f"{file}: gives {tail.shape[0]} planes from {head.shape[1]}: it does not enlarge {SCALE} times")
    skip = any(node.op_type == "Add" and "features" in node.input for node in model.graph.node)
    network = Generator(GeneratorShape(head.shape[0], count, 0, head.shape[1], skip))
    with torch.no_grad():
        for layer, block in zip(layers, (network.head, *network.body, network.tail)):
            block.whole.copy_(torch.from_numpy(values[f"{layer}.weight"].copy()))
            block.bias.copy_(torch.from_numpy(values[f"{layer}.bias"].copy()))
    return network.eval()
