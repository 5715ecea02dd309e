"""``train-detector``: train a detector, resumable."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..detect import train
from ..detect.sources import SOURCES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `train-detector`."""
    parser.add_argument("--subject", choices=tuple(SOURCES), default="face", help="what it finds")
    parser.add_argument("--data", type=Path, default=None, help="folder with train/ and faces.csv (default: SRFUSION_DATA or ../shared/data)")
    parser.add_argument("--cache", type=Path, required=True, help="folder for the decoded pictures, outside the repository")
    parser.add_argument("--checkpoints", type=Path, required=True, help="folder for detector.pt and its log")
    parser.add_argument("--minutes", type=float, default=60.0, help="training time over which the learning rate falls to nothing")
    parser.add_argument("--steps", type=int, default=0, help="length of the run in steps instead of minutes, for a machine that is stopped now and then")
    parser.add_argument("--max-steps", type=int, default=0, help="stop after so many steps, 0 for no limit (for trials)")
    parser.add_argument("--batch", type=int, default=16, help="pictures a step")
    parser.add_argument("--side", type=int, default=288, help="side of a training picture in pixels, a multiple of 32")
    parser.add_argument("--channels", type=int, default=64, help="width of the network")
    parser.add_argument("--points", type=int, choices=(0, 5), default=None, help="landmarks that the network marks; 0: boxes alone; default: those of the subject")
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate")
    parser.add_argument("--threads", type=int, default=1, help="threads of the trainer")
    parser.add_argument("--feeders", type=int, default=1, help="processes that make pictures")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32", help="of activations; bf16 pays on processors with AVX-512 BF16")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save-minutes", type=float, default=3.0, help="minutes between checkpoints")
    parser.add_argument("--start-from", type=Path, default=None, help="checkpoint whose weights a new run starts from")
    parser.add_argument("--device", default="cpu", help="torch device, for instance cuda")


def run(args: argparse.Namespace) -> int:
    """Train until the time or the steps are used up."""
    return train.run(args)
