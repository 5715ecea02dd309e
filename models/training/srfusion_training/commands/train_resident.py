"""``train-resident``: train x4 generators of luma on a GPU, with all data in its memory, resumable."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from ..data import degrade, folders, subjects
from ..nets import regions
from ..train import resident


def _degraded(text: str) -> tuple[str, float]:
    """RECIPE=SHARE."""
    name, _, share = text.partition("=")
    if name not in degrade.RECIPES:
        raise argparse.ArgumentTypeError(f"'{text}' is RECIPE=SHARE with a recipe of {', '.join(degrade.RECIPES)}, as video=0.4")
    try:
        return name, float(share)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is RECIPE=SHARE, with a part of a batch 0..1, as {name}=0.4") from None


def _also(text: str) -> tuple[str, Path | None, tuple[int, int] | None]:
    """NAME:CHANNELSxCONVOLUTIONS or NAME:CHECKPOINT."""
    name, _, rest = text.partition(":")
    if not name or not rest:
        raise argparse.ArgumentTypeError(f"'{text}' is NAME:CHANNELSxCONVOLUTIONS or NAME:CHECKPOINT, as general-x4-fast:24x4")
    shape = re.fullmatch(r"(\d+)x(\d+)", rest)
    return (name, None, (int(shape[1]), int(shape[2]))) if shape else (name, Path(rest), None)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``train-resident``."""
    parser.add_argument("--subject", choices=tuple(subjects.PICTURED), required=True, help="what to train on")
    parser.add_argument("--name", help="name of the checkpoint; default: the subject")
    parser.add_argument("--channels", type=int, help="default: 32, or those of what it starts from")
    parser.add_argument("--convolutions", type=int, help="3x3 convolutions between the first and the last; default: 12, or those of what it starts from")
    parser.add_argument("--from", dest="start", type=Path, help="checkpoint whose averaged weights to start from, or the .onnx file of a compact generator of luma")
    parser.add_argument("--revive", action="store_true", help="give channels of what it starts from that are never above zero on held-out patches a new start: random on the way in, nothing on the way out")
    parser.add_argument(
        "--also", type=_also, action="append", default=[], metavar="NAME:WHAT",
        help="train another network at the same time on the same data: random of WHAT=CHANNELSxCONVOLUTIONS, or from the checkpoint WHAT (repeatable)",
    )  # fmt: skip
    parser.add_argument("--cache", type=Path, default=folders.default_cache(), help="what the commands 'prepare...' wrote")
    parser.add_argument("--checkpoints", type=Path, default=folders.default_checkpoints(), help="folder of the checkpoints")
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--steps", type=int, help="length of the run in steps")
    length.add_argument("--minutes", type=float, help="length of the run in minutes of training, earlier sessions counted; all networks share them")
    parser.add_argument(
        "--degrade", type=_degraded, action="append", default=[], metavar="RECIPE=SHARE",
        help="part of a batch whose low side is from 'prepare-camera --recipe RECIPE' (repeatable); what all shares leave is clean",
    )  # fmt: skip
    parser.add_argument("--teacher-share", type=float, default=0.0, help="part of a batch that comes from 'prepare-teacher', 0..1")
    parser.add_argument(
        "--imitate", type=Path, nargs="+", default=[], metavar="FILE",
        help="draw as this network does, or as three do, smooth places as the first, texture as the second and strong edges as the third, in place of the truth (but for --teacher-share's pieces): checkpoints or .onnx files of compact generators of luma",
    )  # fmt: skip
    parser.add_argument(
        "--imitate-limits", type=float, nargs=4, default=list(regions.LIMITS), metavar="STEEPNESS",
        help="difference of a pixel's two neighbours, 0..1, at which texture begins and reigns alone, and at which edges do",
    )  # fmt: skip
    parser.add_argument(
        "--between", type=Path, action="append", default=[], metavar="FILE",
        help="a generator of this shape towards which weights will be interpolated, as 'detail' does: pictures shall then lie between too (repeatable)",
    )  # fmt: skip
    parser.add_argument("--batch", type=int, default=36, help="patches in a step")
    parser.add_argument("--side", type=int, default=64, help="side of a patch in low-resolution pixels")
    parser.add_argument("--muon-rate", type=float, default=0.01, help="highest learning rate of Muon, for the kernels")
    parser.add_argument("--rate", type=float, default=1e-3, help="highest learning rate of Adam, for the first kernel and the biases")
    parser.add_argument("--hold", type=float, default=0.5, help="part of the run after which the rates fall linearly to nothing")
    parser.add_argument("--decay", type=float, default=0.999, help="of the averaged weights, per step")
    parser.add_argument(
        "--keep", choices=("best", "last"), default="best", help="averaged weights that are exported: those that were best on held-out patches, or the last"
    )
    parser.add_argument("--every", type=int, default=500, help="steps between looks at held-out patches, of each network")
    parser.add_argument("--watch", type=int, default=256, help="held-out patches of each kind")
    parser.add_argument("--save-minutes", type=float, default=1.0, help="minutes between checkpoints; a run goes on from the last with the optimizers' state, only other patches are drawn")
    parser.add_argument("--precision", choices=tuple(resident.PRECISIONS), default="fp32", help="of features on the CPU; bf16 pays on processors with AMX or AVX-512 BF16; a GPU takes its own 16 bits")
    parser.add_argument("--quantise-aware", action="store_true", help="train with the rounding of eight bits, to finish a network; 'quantise-generator --in-place-of' takes what is exported")
    parser.add_argument("--threads", type=int, default=1, help="threads of PyTorch")
    parser.add_argument("--no-graph", dest="graph", action="store_false", help="on a GPU start each operation of a step by itself, slower, to look for errors")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--restart", action="store_true", help="ignore checkpoints of these names")


def run(args: argparse.Namespace) -> int:
    """Train until ``--steps`` or ``--minutes`` are done, going on from the checkpoints of these names if there are any."""
    for name, value, least in (("--batch", args.batch, 1), ("--every", args.every, 1), ("--watch", args.watch, 1), ("--side", args.side, 12)):
        if value < least:
            raise ValueError(f"{name} is at least {least}, not {value}")
    for name, value in (("--steps", args.steps), ("--minutes", args.minutes)):
        if value is not None and value <= 0:
            raise ValueError(f"{name} is above 0, not {value:g}")
    if not 0.0 <= args.hold < 1.0:
        raise ValueError(f"--hold is a part of the run, 0 to below 1, not {args.hold:g}")
    if args.quantise_aware and args.precision != "fp32":
        raise ValueError(f"--quantise-aware rounds to eight bits, for which {args.precision} is too coarse: --precision fp32")
    if len(args.imitate) not in (0, 1, 3):
        raise ValueError(f"--imitate takes one network, or three for smooth places, texture and strong edges; found {len(args.imitate)}")
    if args.between and args.quantise_aware:
        raise ValueError("--between interpolates weights, which are rounded to eight bits later: leave out --quantise-aware")
    if args.between and args.batch < 2 * len(args.between):
        raise ValueError(f"--between takes every second patch: expected --batch of at least {2 * len(args.between)}, found {args.batch}")
    names = [name for name, _ in args.degrade]
    if len(set(names)) < len(names):
        raise ValueError(f"--degrade names a recipe twice: {', '.join(names)}; give each once")
    return resident.train(args)
