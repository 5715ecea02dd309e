"""``prepare-camera``: write degraded low-resolution versions of the cached pictures, once."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import torch

from ..data import folders
from ..data.degrade import RECIPES, Recipe, find_ffmpeg, prepare
from ..data.subjects import SUBJECTS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``prepare-camera``."""
    parser.add_argument("--cache", type=Path, default=folders.default_cache(), help="what 'prepare' wrote, and where this goes")
    parser.add_argument("--subject", choices=tuple(SUBJECTS), action="append", help="only this one (repeatable)")
    parser.add_argument("--passes", type=int, default=3, help="times over all pictures; more gives more variety")
    parser.add_argument("--codec", choices=("h264", "jpeg"), default="h264", help="jpeg needs no ffmpeg and is a poor stand-in")
    parser.add_argument("--crf", type=int, nargs=2, default=Recipe().crf, metavar=("LOW", "HIGH"), help="of x264")
    parser.add_argument("--limit", type=int, help="at most so many cached pictures of each kind")
    parser.add_argument("--threads", type=int, default=1, help="threads of PyTorch, which blurs")
    parser.add_argument("--seed", type=int, default=1)


def run(args: argparse.Namespace) -> int:
    """Fill the pools."""
    torch.set_num_threads(args.threads)
    if not 0 <= args.crf[0] <= args.crf[1] <= 51:
        raise ValueError(f"--crf takes two numbers of 0..51 in order, not {args.crf[0]} {args.crf[1]}")
    if args.codec == "h264":
        find_ffmpeg()
    recipe = dataclasses.replace(RECIPES["camera"], crf=tuple(args.crf))
    for subject in args.subject or SUBJECTS:
        count = prepare(args.cache, subject, recipe, args.passes, args.codec, args.seed, args.limit)
        size = (args.cache / f"{subject}-camera.bin").stat().st_size
        print(f"{subject}: {count} degraded pictures, {size / 1e6:.0f} MB")
    return 0
