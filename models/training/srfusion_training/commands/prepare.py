"""``prepare``: decode the training pictures into a cache, once."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..catalogue import models_folder
from ..data import folders, pictures
from ..data.subjects import PICTURED, Scene
from ..detect.finder import find_faces


def scenes(text: str) -> tuple[Path, tuple[float, ...] | None]:
    """``FOLDER`` or ``FOLDER=0.3,0.5``."""
    folder, _, sizes = text.partition("=")
    try:
        scales = tuple(float(size) for size in sizes.split(",")) if sizes else None
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"'{sizes}' are no sizes; give numbers as 0.3,0.5") from error
    return Path(folder), scales


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``prepare``."""
    parser.add_argument("--data", type=Path, default=folders.default_data(), help="folder with train/ and faces.csv")
    parser.add_argument(
        "--general", type=scenes, metavar="FOLDER[=SCALES]", action="append", default=[],
        help="scenes, in place of train/general and train/general2 (DIV2K, say; repeatable), with sizes of their own as 0.3,0.5",
    )  # fmt: skip
    parser.add_argument(
        "--face", type=Path, metavar="FOLDER", help="portraits, in place of train/face and faces.csv (FFHQ, say); the shipped detector finds the faces"
    )
    parser.add_argument("--cache", type=Path, default=folders.default_cache(), help="where the decoded pictures go")
    parser.add_argument("--subject", choices=tuple(PICTURED), action="append", help="only this one (repeatable)")
    parser.add_argument("--scales", type=float, nargs="+", default=list(pictures.GENERAL_SCALES), help="sizes of a scene, of its own")
    parser.add_argument(
        "--heights", type=float, nargs=2, default=list(pictures.FACE_HEIGHTS), metavar=("LOW", "HIGH"),
        help="of a face in high-resolution pixels, between which portraits are scaled",
    )  # fmt: skip
    parser.add_argument("--copies", type=int, default=pictures.FACE_COPIES, help="of a portrait, at different heights")
    parser.add_argument(
        "--identity", metavar="REGEX", help="whose first group tells one person's portraits by their names, as '(.*)_[0-9]+'; default: the folder"
    )
    parser.add_argument("--limit", type=int, help="at most so many source pictures of each folder")
    parser.add_argument("--seed", type=int, default=1)


def run(args: argparse.Namespace) -> int:
    """Fill the cache."""
    for sizes in (args.scales, *(own for _, own in args.general if own)):
        if not all(0.0 < scale <= 1.0 for scale in sizes):
            raise ValueError(f"sizes of scenes are numbers above 0 and up to 1, not {' '.join(map(str, sizes))}")
    if not 0.0 < args.heights[0] <= args.heights[1]:
        raise ValueError(f"--heights takes two numbers in order, not {args.heights[0]:g} {args.heights[1]:g}")
    for name in args.subject or PICTURED:
        if isinstance(PICTURED[name], Scene):
            chosen = args.general if name == "general" else []
            count = pictures.prepare_scenes(name, args.data, args.cache, args.seed, args.limit, chosen, args.scales)
        else:
            folder = args.face if name == "face" else None
            count = pictures.prepare_objects(
                name, args.data, args.cache, args.seed, args.limit, folder, lambda files: find_faces(files, models_folder()),
                args.heights, args.copies, args.identity,
            )  # fmt: skip
        size = (args.cache / f"{name}.bin").stat().st_size
        print(f"{name}: {count} pictures, {size / 1e6:.0f} MB")
    return 0
