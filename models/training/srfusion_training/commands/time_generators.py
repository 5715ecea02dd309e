"""``time-generators``: times of generators beside one another, alternating, as ratios to the first."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

from ..evaluate import speed
from ..nets.compact import GeneratorShape

_SHAPE = re.compile(r"^(y|rgb)(\d+)x(\d+)(-int8)?$")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``time-generators``."""
    parser.add_argument(
        "generators", nargs="+", metavar="GENERATOR",
        help="an ONNX file, or an architecture with random weights: y48x8-int8 is luma, 48 channels, 8 convolutions between the first and the last; rgb32x8 likewise",
    )  # fmt: skip
    parser.add_argument("--size", type=int, nargs=2, default=[640, 360], metavar=("W", "H"), help="of the low-resolution picture")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")


def run(args: argparse.Namespace) -> int:
    """Run and print."""
    models: dict[str, Any] = {}
    for name in args.generators:
        if found := _SHAPE.match(name):
            kind, channels, convolutions, eight = found.groups()
            shape = GeneratorShape(int(channels), int(convolutions), 0, 1 if kind == "y" else 3, kind == "rgb")
            models[name] = speed.random_generator(shape, bool(eight), name)
        elif Path(name).exists():
            models[name] = Path(name)
        else:
            raise FileNotFoundError(f"{name}: neither a file nor an architecture such as y48x8-int8 or rgb32x8")
    result = speed.summary(speed.times(models, *args.size, args.threads, args.rounds))
    if args.json:
        print(json.dumps(result, indent=1))
        return 0
    print(f"{args.size[0]}x{args.size[1]}, {args.threads} threads, {args.rounds} rounds by turns; ratios to {args.generators[0]}")
    for name, row in result.items():
        print(
            f"{name:36} least {row['least-ms']:8.1f} ms, median {row['median-ms']:8.1f} ms; "
            f"ratio of the least {row['ratio-of-least']:.3f}, median ratio {row['median-ratio']:.3f}"
        )
    return 0
