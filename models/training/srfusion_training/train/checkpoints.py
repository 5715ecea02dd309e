"""Checkpoints of generators: reading them, and the networks that they hold."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch

from ..importers import own
from ..nets.compact import Generator, GeneratorShape
from ..nets.rrdb import RRDB, RRDBShape


def load_checkpoint(path: Path | str) -> dict[str, Any]:
    """A checkpoint written by ``train-generator``; holds tensors and plain values only."""
    if not Path(path).exists():
        raise FileNotFoundError(f"{path}: no such checkpoint")
    return torch.load(path, map_location="cpu", weights_only=True)


def load_start(path: Path | str) -> dict[str, Any]:
    """What a run can start from: a checkpoint, or a compact generator's .onnx file; has "architecture", "shape" and "average"."""
    if Path(path).suffix != ".onnx":
        return load_checkpoint(path)
    network = own.read(Path(path))
    return {"architecture": "compact", "shape": dataclasses.asdict(network.shape), "average": network.state_dict()}


def make_network(architecture: str, shape: GeneratorShape | RRDBShape) -> Generator | RRDB:
    """A network with random weights; ``architecture`` is "compact" or "rrdb"."""
    return Generator(shape) if architecture == "compact" else RRDB(shape)  # type: ignore[arg-type]


def shape_of(checkpoint: dict[str, Any]) -> tuple[str, GeneratorShape | RRDBShape]:
    """Architecture and shape of a checkpoint; one without the name of an architecture is compact."""
    architecture = checkpoint.get("architecture", "compact")
    return architecture, (GeneratorShape if architecture == "compact" else RRDBShape)(**checkpoint["shape"])


def averaged_network(checkpoint: dict[str, Any]) -> Generator | RRDB:
    """The network of a checkpoint with the averaged weights."""
    network = make_network(*shape_of(checkpoint))
    network.load_state_dict(checkpoint["average"])
    return network.eval()
