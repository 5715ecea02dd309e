"""``export-generator``: write a trained generator as ONNX and record it in models.toml."""

from __future__ import annotations

import argparse
from pathlib import Path

from .. import catalogue
from ..data import folders
from ..data.subjects import SUBJECTS
from ..export import generator, int8, radius
from ..nets.compact import collapse, parameter_count
from ..nets.rrdb import RRDB
from ..train import checkpoints


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``export-generator``."""
    parser.add_argument("--subject", choices=tuple(SUBJECTS), required=True)
    parser.add_argument("--name", help="name in models.toml and of the file; default: SUBJECT-x4")
    parser.add_argument("--checkpoint", type=Path, help="default: SUBJECT.pt in the checkpoints' folder")
    parser.add_argument(
        "--mean-with", type=Path, action="append", default=[], metavar="CHECKPOINT",
        help="export the mean of all weights, --checkpoint's and these (repeatable); also an .onnx file of a compact generator. For runs from one start",
    )
    parser.add_argument("--models", type=Path, default=catalogue.models_folder(), help="folder of models.toml")
    parser.add_argument("--licence", default=generator.LICENCE, help="of the weights")
    parser.add_argument("--fp16", action="store_true", help="also write NAME-fp16.onnx, with an entry of its own")
    parser.add_argument("--trained-on", required=True, help="one sentence about the data, for models.toml")


def run(args: argparse.Namespace) -> int:
    """Export one generator."""
    name = args.name or f"{args.subject}-x4"
    checkpoint = checkpoints.load_checkpoint(
        args.checkpoint or folders.default_checkpoints() / f"{args.subject}.pt"
    )
    if checkpoint["subject"] not in (args.subject, "mixed"):
        raise ValueError(f"the checkpoint was trained on {checkpoint['subject']}, not {args.subject}")
    trained = checkpoints.averaged_network(checkpoint)
    if args.mean_with:
        trained = checkpoints.mean_network([trained, *(checkpoints.averaged_network(checkpoints.load_start(file)) for file in args.mean_with)])
    network = trained if isinstance(trained, RRDB) else collapse(trained)
    model = int8.with_ranges(generator.to_onnx(network, name), {} if args.mean_with else checkpoint.get("ranges") or {})
    difference = generator.parity(model, trained)
    if difference > 1e-4:
        raise ValueError(f"ONNX Runtime and PyTorch differ by {difference:.2e}")
    reach = radius.measured_radius(model) if isinstance(network, RRDB) else radius.receptive_radius(model)
    if reach > network.shape.radius:
        raise ValueError(f"measured radius {reach} is above the {network.shape.radius} of the convolutions")
    generator.write(model, name, args.subject, reach, parameter_count(network), args.licence, args.trained_on, args.models, args.fp16)
    print(
        f"{network.shape.multiply_adds} multiply-adds per pixel, {checkpoint['steps']} steps, "
        f"differs from PyTorch by at most {difference:.1e}"
    )
    return 0
