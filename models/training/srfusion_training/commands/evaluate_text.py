"""``evaluate-text``: PSNR, SSIM and characters read of generators on rendered text."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image

from .. import catalogue
from ..data import degrade, folders, resize
from ..evaluate import text
from ..evaluate.generators import Damage, Method, bicubic, compressed, generator, unharmed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``evaluate-text``."""
    parser.add_argument("files", nargs="*", default=["general-x4.onnx", "text-x4.onnx"], help="generators, by their files")
    parser.add_argument("--models", type=Path, default=catalogue.models_folder(), help="folder of the files")
    parser.add_argument("--cache", type=Path, default=folders.default_cache(), help="what 'prepare' wrote; held-out photographs are the ground")
    parser.add_argument("--count", type=int, default=150, help="lines of each height")
    parser.add_argument("--compress", type=int, metavar="CRF", help="put the low-resolution pictures through x264 first")
    parser.add_argument("--blur", type=float, default=0.0, metavar="SIGMA", help="blur them by a Gaussian of so many low-resolution pixels before")
    parser.add_argument("--noise", type=float, default=0.0, metavar="LEVELS", help="and add sensor noise of this deviation, of 255")
    parser.add_argument("--heights", type=int, nargs="+", default=list(text.TEXT_HEIGHTS), help="of capitals in low-resolution pixels")
    parser.add_argument("--read", action="store_true", help="count the characters that PP-OCRv4 reads; needs the optional dependency 'ocr'")
    parser.add_argument("--trained-fonts", action="store_true", help="measure the fonts and photographs that were trained on instead")
    parser.add_argument("--draw", type=Path, help="folder for pictures of all methods under one another, the truth last")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")


def _damage(args: argparse.Namespace) -> Damage:
    """What --blur, --noise and --compress ask for, in this order; noise is drawn from the seed."""
    random = np.random.default_rng(args.seed)
    code = unharmed if args.compress is None else compressed(args.compress)

    def damage(low: np.ndarray) -> np.ndarray:
        low = degrade.blur(low, degrade.gaussian_kernel(args.blur, args.blur, 0.0)) if args.blur else low
        return code(degrade.noise(low, args.noise, random) if args.noise else low)

    return damage


def _draw(args: argparse.Namespace, methods: dict[str, Method], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    damage = _damage(args)
    for height in args.heights:
        for index, sample in enumerate(text.samples(args.cache, height, 12, args.seed + height, not args.trained_fonts)):
            low = damage(resize.resize_u8(sample.high, 0.25))
            shown = [*(upscale(low) for upscale in methods.values()), sample.high]
            Image.fromarray(np.concatenate(shown)).save(folder / f"{height:02}-{index:02}.png")


def run(args: argparse.Namespace) -> int:
    """Print the table."""
    methods: dict[str, Method] = {"bicubic": bicubic}
    methods |= {Path(file).name.removesuffix(".onnx"): generator(args.models / file, args.threads) for file in args.files}
    read = text.reader() if args.read else None
    if args.draw:
        _draw(args, methods, args.draw)
    table = text.measure_text(args.cache, methods, args.count, _damage(args), read, args.seed, not args.trained_fonts, args.heights)
    if args.json:
        print(json.dumps(table, indent=2))
        return 0
    done = [f"blurred by {args.blur:g} px"] * bool(args.blur) + [f"with noise of {args.noise:g} levels"] * bool(args.noise)
    done += [f"through x264 at crf {args.compress}"] * (args.compress is not None)
    after = f", low-resolution pictures {', '.join(done)}" if done else ""
    fonts = "trained" if args.trained_fonts else "held-out"
    print(f"PSNR-Y in dB / SSIM-Y inside the line{', characters read' if read else ''}; {args.count} lines a height, {fonts} fonts{after}\n")
    print(text.text_table(table))
    return 0
