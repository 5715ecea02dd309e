"""``interpolate-generators``: a generator whose weights lie between those of two of one architecture, or beyond the second."""

from __future__ import annotations

import argparse
from pathlib import Path

import onnx

from ..export import radius
from ..export.interpolate import interpolated
from ..export.session import session


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``interpolate-generators``."""
    parser.add_argument("first", type=Path, help="the file at 0, true to the pixels")
    parser.add_argument("second", type=Path, help="the file at 1, natural")
    parser.add_argument("amount", type=float, help="0..2: how far from the first to the second; beyond 1 it exaggerates what sets the second apart")
    parser.add_argument("output", type=Path)


def run(args: argparse.Namespace) -> int:
    """Write the mixed file."""
    for file in (args.first, args.second):
        if not file.exists():
            raise FileNotFoundError(f"{file}: no such model")
    if not 0.0 <= args.amount <= 2.0:
        raise ValueError(f"the amount lies in 0..2, it is {args.amount:g}")
    model = interpolated(onnx.load(str(args.first)), onnx.load(str(args.second)), args.amount)
    session(model)
    args.output.write_bytes(model.SerializeToString())
    print(f"{args.output}: {args.output.stat().st_size} bytes, {args.amount:g} of the way, enlarges {radius.measured_scale(model):g} times")
    return 0
