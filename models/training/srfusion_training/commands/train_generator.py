"""``train-generator``: train a x4 generator, resumable."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..data import degrade, folders, subjects
from ..losses import functions, objective
from ..train import generator
from ..train.schedule import SCHEDULES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``train-generator``."""
    parser.add_argument("--subject", choices=(*subjects.SUBJECTS, subjects.MIXED), required=True, help="what to train on")
    parser.add_argument("--name", help="name of the checkpoint; default: the subject")
    parser.add_argument("--cache", type=Path, default=folders.default_cache(), help="what 'prepare' wrote")
    parser.add_argument("--checkpoints", type=Path, default=folders.default_checkpoints(), help="folder of the checkpoints")
    parser.add_argument("--from", dest="start", type=Path, help="checkpoint whose averaged weights to start from, or the .onnx file of a compact generator")
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--steps", type=int, help="length of the run in steps")
    length.add_argument("--minutes", type=float, help="length of the run in minutes of training, earlier sessions counted")
    parser.add_argument(
        "--degrade", choices=("none", *degrade.RECIPES), default="none", help="low-resolution side: as it is, or from 'prepare-camera'"
    )
    parser.add_argument("--degraded-share", type=float, default=1.0, help="part of the batches that --degrade is for, 0..1; the others are clean")
    parser.add_argument("--even", type=float, default=0.0, help="part of the patches of scenes that begin anywhere, 0..1; the others where there is detail")
    parser.add_argument("--batch", type=int, default=16, help="patches in a step")
    parser.add_argument("--side", type=int, default=192, help="side of a high-resolution patch in pixels")
    parser.add_argument("--optimizer", choices=("muon", "adam"), default="muon")
    parser.add_argument("--rate", type=float, default=1e-3, help="highest learning rate of Adam; 5e-4 where it trains all")
    parser.add_argument("--muon-rate", type=float, default=0.012, help="highest learning rate of Muon, for the kernels")
    parser.add_argument("--schedule", choices=SCHEDULES, default="cosine", help="constant can be stopped at any time and finished by --from with linear")
    parser.add_argument("--loss", choices=sorted(functions.LOSSES), help="default: luma-l1, and l1 for luma networks")
    parser.add_argument("--decay", type=float, default=0.998, help="of the averaged weights, per step")
    parser.add_argument("--architecture", choices=("compact", "rrdb"), default="compact")
    parser.add_argument("--colour", choices=("rgb", "y"), default="rgb", help="what a compact network takes and gives; y is luma")
    parser.add_argument("--teacher-share", type=float, default=0.0, help="part of a batch that comes from 'prepare-teacher', 0..1")
    parser.add_argument("--channels", type=int, help="default: 32, and 64 for rrdb")
    parser.add_argument("--blocks", type=int, default=23, help="of rrdb")
    parser.add_argument("--growth", type=int, default=32, help="channels that a convolution of rrdb adds")
    parser.add_argument(
        "--precision", choices=("fp32", "bf16"), default="fp32", help="of activations; bf16 is meant for a GPU, weights stay fp32"
    )
    parser.add_argument("--convolutions", type=int, default=8, help="3x3 convolutions between the first and the last")
    parser.add_argument("--expansion", type=int, default=128, help="channels inside a block while Adam trains")
    parser.add_argument("--threads", type=int, default=1, help="threads of PyTorch")
    parser.add_argument("--quantise-aware", action="store_true", help="train with the rounding of eight bits, to finish a luma network")
    parser.add_argument("--fresh", type=float, default=1.0, help="part of the batches drawn anew, 0..1; the others are of patches drawn before. For text, which takes longer to draw than to train on")
    parser.add_argument("--workers", type=int, default=0, help="processes that draw patches ahead of time; for a GPU about half of the cores")
    parser.add_argument("--save-minutes", type=float, default=0.0, help="also keep a checkpoint every so often")
    parser.add_argument("--every", type=int, default=500, help="steps between checkpoints and looks at held-out patches")
    parser.add_argument("--seed", type=int, default=1)
    objective.add_arguments(parser)
    parser.add_argument(
        "--steady", type=float, default=0.0, metavar="WEIGHT",
        help="of the squared difference between two sightings of a patch, moved by less than a low-resolution pixel and with other noise",
    )  # fmt: skip
    parser.add_argument("--steady-patches", type=int, default=4, help="patches of a step that --steady looks at")
    parser.add_argument("--read", type=float, default=0.0, metavar="WEIGHT", help="of how badly --reader reads rough lines of text that are drawn for it")
    parser.add_argument("--reader", type=Path, nargs="+", default=[], metavar="CHECKPOINT", help="of 'train-recogniser'; several judge together")
    parser.add_argument("--read-pixels", type=float, default=0.3, metavar="WEIGHT", help="of --loss over these lines")
    parser.add_argument("--read-lines", type=int, default=4, help="such lines in a step")
    parser.add_argument("--restart", action="store_true", help="ignore a checkpoint of this name")


def run(args: argparse.Namespace) -> int:
    """Train until ``--steps`` or ``--minutes`` are done, going on from the checkpoint of this name if there is one."""
    for name, share in (("--teacher-share", args.teacher_share), ("--degraded-share", args.degraded_share), ("--fresh", args.fresh)):
        if not 0.0 <= share <= 1.0:
            raise ValueError(f"{name} is a part, 0..1, not {share:g}")
    if args.read and not args.reader:
        raise ValueError("--read needs --reader, a checkpoint of 'train-recogniser'")
    return generator.train(args)
