"""``evaluate-natural``: NIQE, PSNR and the likeness of faces, of several generators side by side."""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from .. import catalogue
from ..data import folders, pictures
from ..evaluate.embedding import Embedding
from ..evaluate.generators import SETS, Method, bicubic, compressed, generator, unharmed
from ..evaluate.natural import basicsr_niqe, format_table, measure_faces, measure_general


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``evaluate-natural``."""
    parser.add_argument("--data", type=Path, default=folders.default_data(), help="folder with dev/ and faces.csv")
    parser.add_argument("--models", type=Path, default=catalogue.models_folder(), help="folder of the ONNX files")
    parser.add_argument("--general", action="append", default=[], metavar="FILE", help="a generator for the general sets (repeatable)")
    parser.add_argument("--face", action="append", default=[], metavar="FILE", help="a generator for faces (repeatable)")
    parser.add_argument("--both", action="append", default=[], metavar="FILE", help="a generator for both, as RealESRGAN_x4plus (repeatable)")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--compress", type=int, metavar="CRF", help="put the low-resolution pictures through x264 first")
    parser.add_argument("--embedding", type=Path, help="face embedding network; default: that of the data folder")
    parser.add_argument("--basicsr", type=Path, required=True, metavar="ARCHIVE", help="basicsr-1.4.2.tar.gz from PyPI, whose NIQE is used")
    parser.add_argument("--kept", type=Path, metavar="FOLDER", help="pictures that were drawn are kept here, and not drawn again by the same file")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")


def kept(file: Path, threads: int, folder: Path | None) -> Method:
    """The generator of ``file``, whose pictures are kept in ``folder`` by what made them of what."""
    upscale = generator(file, threads)
    if folder is None:
        return upscale
    mark = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)

    def method(low: np.ndarray) -> np.ndarray:
        of = hashlib.sha256(repr(low.shape).encode() + low.tobytes()).hexdigest()[:16]
        place = folder / f"{file.stem}-{mark}-{of}.png"
        if not place.exists():
            Image.fromarray(upscale(low)).save(place)
        return pictures.read_rgb(place)

    return method


def run(args: argparse.Namespace) -> int:
    """Print the tables."""
    damage = unharmed if args.compress is None else compressed(args.compress)
    files = {name: args.models / name for name in dict.fromkeys([*args.general, *args.face, *args.both])}
    methods = {file.stem: kept(file, args.threads, args.kept) for file in files.values()}
    chosen = lambda names: {"bicubic": bicubic} | {files[name].stem: methods[files[name].stem] for name in names}
    embedding = Embedding(args.embedding or args.data / "dev/models/mobilefacenet-embedding.onnx", args.threads)
    with tempfile.TemporaryDirectory() as folder:
        niqe = basicsr_niqe(args.basicsr, Path(folder))
        result = {
            "general": measure_general(args.data / "dev/general", chosen([*args.general, *args.both]), niqe, damage, tuple(args.sets)),
            "face": measure_faces(args.data, chosen([*args.face, *args.both]), embedding, damage),
        }
    if args.json:
        print(json.dumps(result, indent=2))
        return 0
    after = "" if args.compress is None else f", low-resolution pictures through x264 at crf {args.compress}"
    print(f"PSNR-Y in dB, NIQE (lower is better){after}\n")
    print(format_table("general sets", result["general"]))
    print()
    print(format_table("faces by their low-resolution height, and the likeness of their embedding", result["face"]))
    return 0
