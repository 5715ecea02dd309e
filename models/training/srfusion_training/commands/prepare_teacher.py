"""``prepare-teacher``: let a larger network enlarge pieces of the cached pictures, once."""

from __future__ import annotations

import argparse
from pathlib import Path

from .. import catalogue
from ..data import folders, teachers
from ..data.degrade import RECIPES
from ..data.subjects import PICTURED
from ..evaluate.generators import upscaler


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``prepare-teacher``."""
    parser.add_argument("teacher", type=Path, help="a x4 network as ONNX, RGB or luma, float32 in 0..1 or uint8")
    parser.add_argument("--subject", choices=tuple(PICTURED), default="general", help="whose cached pictures are enlarged")
    parser.add_argument("--cache", type=Path, default=folders.default_cache(), help="what 'prepare' wrote, and where this goes")
    parser.add_argument("--pieces", type=int, default=3000, help="how many there shall be in all; those that are there count")
    parser.add_argument(
        "--degraded", choices=tuple(RECIPES), help="enlarge what 'prepare-camera' made by this recipe; used by 'train-generator --degrade' of it"
    )
    parser.add_argument("--side", type=int, default=64, help="of a piece, in low-resolution pixels")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)


def run(args: argparse.Namespace) -> int:
    """Make what is missing."""
    if not args.teacher.exists():
        raise FileNotFoundError(f"{args.teacher}: no such teacher")
    digest = catalogue.sha256_of(args.teacher)
    recipe = args.degraded or ""
    made = teachers.prepare(args.cache, args.subject, upscaler(args.teacher, args.threads), digest, args.pieces, args.side, args.seed, recipe)
    print(f"{args.subject}: {made} pieces made, {teachers.paths(args.cache, args.subject, recipe)[1]}")
    return 0
