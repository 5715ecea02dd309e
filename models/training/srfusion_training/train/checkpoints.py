"""Checkpoints of generators: reading them, and the networks that they hold."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ..importers import own
from ..nets.compact import Generator, GeneratorShape, flattened
from ..nets.rrdb import RRDB, RRDBShape


def load_checkpoint(path: Path | str) -> dict[str, Any]:
    """A checkpoint written by ``train-generator``; holds tensors and plain values only."""
    if not Path(path).exists():
        raise FileNotFoundError(f"{path}: no such checkpoint")
    return torch.load(path, map_location="cpu", weights_only=True)


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write ``state`` in one rename, so that a run that is cut off leaves the checkpoint before."""
    temporary = path.with_suffix(".tmp")
    torch.save(state, temporary)
    os.replace(temporary, path)


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


@torch.no_grad()
def mean_network(networks: Sequence[Generator | RRDB]) -> Generator | RRDB:
    """The network of mean weights (Wortsman et al., "Model soups", ICML 2022): of runs from one start, what each has taken to by itself,
    as a GAN's own patterns, becomes less, and what all have learned stays. Compact networks may have been trained in blocks or plain. ValueError if
    they are not of one architecture."""
    plain = [flattened(network) if isinstance(network, Generator) and network.shape.expansion else network for network in networks]
    states = [network.state_dict() for network in plain]
    if any(type(network) is not type(plain[0]) or network.shape != plain[0].shape for network in plain):
        raise ValueError(f"the networks are of several shapes, {', '.join(str(network.shape) for network in plain)}: only those of one have a mean")
    mean = make_network("compact" if isinstance(plain[0], Generator) else "rrdb", plain[0].shape)
    mean.load_state_dict({name: torch.stack([state[name].double() for state in states]).mean(0).to(value.dtype) for name, value in states[0].items()})
    return mean.eval()
