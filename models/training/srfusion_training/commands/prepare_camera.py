"""``prepare-camera``: write degraded low-resolution versions of the cached pictures, once."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import torch

from ..data import coding, folders
from ..data.degrade import RECIPES, prepare
from ..data.subjects import PICTURED


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``prepare-camera``."""
    parser.add_argument("--cache", type=Path, default=folders.default_cache(), help="what 'prepare' wrote, and where this goes")
    parser.add_argument("--subject", choices=tuple(PICTURED), action="append", help="only this one (repeatable)")
    parser.add_argument("--passes", type=int, default=3, help="times over all pictures; more gives more variety")
    parser.add_argument("--recipe", choices=tuple(RECIPES), default="camera", help="what happens to pictures; video is clean but coded")
    parser.add_argument("--codec", choices=("video", *coding.ENCODERS, "jpeg"), default="video", help="video: H.264 and H.265 as the recipe says; jpeg needs no ffmpeg and is a poor stand-in")
    parser.add_argument("--crf", type=int, nargs=2, metavar=("LOW", "HIGH"), help="of the encoder; default: the recipe's")
    parser.add_argument("--limit", type=int, help="at most so many cached pictures of each kind")
    parser.add_argument("--threads", type=int, default=1, help="threads of PyTorch, which blurs")
    parser.add_argument("--seed", type=int, default=1)


def run(args: argparse.Namespace) -> int:
    """Fill the pools."""
    torch.set_num_threads(args.threads)
    if args.crf is not None and not 0 <= args.crf[0] <= args.crf[1] <= 51:
        raise ValueError(f"--crf takes two numbers of 0..51 in order, not {args.crf[0]} {args.crf[1]}")
    if args.codec != "jpeg":
        coding.find_ffmpeg()
    recipe = RECIPES[args.recipe]
    if args.crf is not None:
        recipe = dataclasses.replace(recipe, crf=tuple(args.crf))
    for subject in args.subject or PICTURED:
        count = prepare(args.cache, subject, recipe, args.passes, args.codec, args.seed, args.limit, args.recipe)
        size = (args.cache / f"{subject}-{args.recipe}.bin").stat().st_size
        print(f"{subject}: {count} degraded pictures, {size / 1e6:.0f} MB")
    return 0
