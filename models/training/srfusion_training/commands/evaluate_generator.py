"""``evaluate-generator``: PSNR and SSIM on the development pictures."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from .. import catalogue
from ..data import folders
from ..evaluate.generators import (
    Method,
    bicubic,
    compressed,
    format_table,
    generator,
    measure_face,
    measure_general,
    noisy,
    unharmed,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``evaluate-generator``."""
    parser.add_argument("--data", type=Path, default=folders.default_data(), help="folder with dev/ and faces.csv")
    parser.add_argument("--models", type=Path, default=catalogue.models_folder(), help="folder of the ONNX files")
    parser.add_argument("--general", default="general-x4.onnx", help="file of the general generator")
    parser.add_argument("--face", default="face-x4.onnx", help="file of the face generator, or 'none'")
    parser.add_argument("--compress", type=int, metavar="CRF", help="put the low-resolution pictures through x264 first")
    parser.add_argument("--noise", type=float, metavar="LEVELS", help="add a sensor's noise of this standard deviation in grey levels before that")
    parser.add_argument(
        "--beside", action="append", default=[], metavar="FILE", help="another generator to measure, named by its file (repeatable)"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")


def run(args: argparse.Namespace) -> int:
    """Print the tables."""
    damage = unharmed if args.compress is None else compressed(args.compress)
    if args.noise is not None:
        if args.noise <= 0.0:
            raise ValueError(f"--noise is a standard deviation above 0 in grey levels, not {args.noise:g}")
        damage = noisy(args.noise, damage)
    beside = {Path(file).stem: generator(args.models / file, args.threads) for file in args.beside}
    general: dict[str, Method] = {"bicubic": bicubic, "general": generator(args.models / args.general, args.threads)}
    methods = dict(general)
    if args.face != "none":
        methods["face"] = generator(args.models / args.face, args.threads)
    result = {
        "general": measure_general(args.data / "dev" / "general", general | beside, damage),
        "face": measure_face(args.data, methods | beside, damage),
    }
    if args.json:
        print(json.dumps(result, indent=2))
    else:
        after = "" if args.noise is None else f", noise of {args.noise:g} levels in the low-resolution pictures"
        after += "" if args.compress is None else f", low-resolution pictures through x264 at crf {args.compress}"
        print(f"PSNR-Y in dB / SSIM-Y{after}\n")
        print(format_table("general sets", result["general"]))
        print()
        print(format_table("inside the face box, low-resolution face height", result["face"]))
        if "face" in methods:
            rows = [(name, row["face"]) for name, row in result["face"].items() if "better" in row["face"]]
            wins = ", ".join(f"{name}: {row['better']:.0%}" for name, row in rows)
            print(f"\nfaces on which the face generator has the higher PSNR: {wins}")
    return 0
