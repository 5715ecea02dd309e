"""``convert``: turn a public checkpoint into ONNX with an entry in models.toml."""

from __future__ import annotations

import argparse
from pathlib import Path

from .. import catalogue
from ..data.subjects import SUBJECTS
from ..export import generator, graph, radius
from ..importers import pth
from ..nets.compact import SCALE, parameter_count
from ..nets.rrdb import RRDB


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``convert``."""
    parser.add_argument("checkpoint", type=Path, help="the .pth file")
    parser.add_argument("--name", required=True, help="name in models.toml and of the file")
    parser.add_argument("--subject", choices=tuple(SUBJECTS), default="general")
    parser.add_argument("--models", type=Path, default=catalogue.models_folder(), help="folder of models.toml")
    parser.add_argument("--licence", required=True, help="of the weights, as their publisher states it")
    parser.add_argument("--trained-on", required=True, help="one sentence about the data, for models.toml")
    parser.add_argument("--activation", choices=("relu", "leakyrelu"), default="relu", help="of a compact network without slopes")
    parser.add_argument("--radius", type=int, help="receptive radius, if it is known; measured otherwise, which takes minutes for RRDB")
    parser.add_argument("--fp16", action="store_true", help="also write NAME-fp16.onnx, with an entry of its own")


def run(args: argparse.Namespace) -> int:
    """Convert one checkpoint."""
    if args.checkpoint.suffix == ".param":
        raise ValueError(f"{args.checkpoint}: is in ncnn's format, which the command converts: srfusion models convert {args.checkpoint} --name {args.name}")
    network = pth.network_of(pth.read_state(args.checkpoint), args.activation)
    model = (graph.rrdb if isinstance(network, RRDB) else graph.compact)(network, args.name)  # type: ignore[arg-type]
    difference = generator.parity(model, network)
    if difference > 1e-4:
        raise ValueError(f"ONNX Runtime and PyTorch differ by {difference:.2e}")
    scale = radius.measured_scale(model)
    if scale != SCALE:
        raise ValueError(f"{args.checkpoint}: enlarges {scale} times, {SCALE} is needed")
    reach = radius.measured_radius(model) if args.radius is None else args.radius
    generator.write(model, args.name, args.subject, reach, parameter_count(network), args.licence, args.trained_on, args.models, args.fp16)
    print(f"differs from PyTorch by at most {difference:.1e}")
    return 0
