"""``train-recogniser``: train the network whose reading is a loss for generators of text; resumable."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..data import folders
from ..train import recogniser


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``train-recogniser``."""
    parser.add_argument("--name", default="recogniser", help="name of the checkpoint")
    parser.add_argument("--cache", type=Path, default=folders.default_cache(), help="what 'prepare' wrote: what letters are drawn over")
    parser.add_argument("--checkpoints", type=Path, default=folders.default_checkpoints(), help="folder of the checkpoints")
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--steps", type=int, help="length of the run in steps")
    length.add_argument("--minutes", type=float, help="length of the run in minutes of training, earlier sessions counted")
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate of AdamW")
    parser.add_argument("--threads", type=int, default=1, help="threads of PyTorch")
    parser.add_argument("--every", type=int, default=200, help="steps between checkpoints and looks at held-out fonts")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--restart", action="store_true", help="ignore a checkpoint of this name")


def run(args: argparse.Namespace) -> int:
    """Train until ``--steps`` or ``--minutes`` are done, going on from the checkpoint of this name if there is one."""
    return recogniser.train(args)
