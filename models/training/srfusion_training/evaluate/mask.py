"""What the mask's padding and sigma are worth, on portraits that were held out of training."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from PIL import Image

from ..data import pictures, resize
from ..data.colour import luma
from ..detect.cutouts import PORTRAIT, person_mask
from . import fusion
from .generators import BORDER, Upscale
from .measures import psnr

PADDINGS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
SIGMAS = (0.0, 0.05, 0.1, 0.15, 0.2)
#: Margin around the face's box, as a fraction of it, inside which the mask's effect is measured.
WIDENED = 0.5
#: Low-resolution face heights at which the mask is measured.
MASK_HEIGHTS = (20.0, 40.0)


def jittered(box: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A box as tracking gives it: shifted by 3 %, its sides changed by 5 % (standard deviations, of its sides)."""
    size = np.array([box[2] - box[0], box[3] - box[1]])
    centre = (box[:2] + box[2:]) / 2 + random.normal(0.0, 0.03, 2) * size
    size = size * np.exp(random.normal(0.0, 0.05, 2))
    return np.concatenate([centre - size / 2, centre + size / 2])


def over_photograph(portrait: np.ndarray, box: np.ndarray, photograph: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """uint8[512, 512, 3]: head and shoulders of a square portrait cut out and set over a piece of a photograph, as in the
    detector's training. ``box`` of the face as fractions."""
    if portrait.shape[0] != portrait.shape[1]:
        raise ValueError(f"portraits must be square to be cut out, not {portrait.shape[1]} x {portrait.shape[0]}")
    portrait = resize.resize_u8(portrait, PORTRAIT / portrait.shape[0])[:PORTRAIT, :PORTRAIT]
    matte = Image.fromarray(person_mask(portrait, box * PORTRAIT)).resize((PORTRAIT, PORTRAIT), Image.Resampling.BICUBIC)
    alpha = np.asarray(matte, dtype=np.float32)[..., None] / 255.0
    y, x = (int(random.integers(side - PORTRAIT + 1)) for side in photograph.shape[:2])
    piece = photograph[y : y + PORTRAIT, x : x + PORTRAIT]
    return resize.to_u8(alpha * portrait + (1.0 - alpha) * piece)


def measure_mask(args: argparse.Namespace, general: Upscale, face: Upscale) -> dict[str, Any]:
    """PSNR-Y in dB inside the widened box over PADDINGS x SIGMAS, the mean over held-out portraits of train/face and two face
    heights, as they are ("studio") and cut out over held-out photographs ("photograph"); and of the two networks alone.
    Fused on luma, not rounded."""
    random = np.random.default_rng(3)
    boxes = {n: b for n, b in pictures.read_faces(args.data).items() if n.startswith("train/face/") and pictures.is_held_out(n[11:])}
    names = sorted(boxes)[:: max(1, len(boxes) // args.mask_pictures)][: args.mask_pictures]
    photographs = [path for path in pictures.picture_files(args.data / "train" / "general") if pictures.is_held_out(path.name)]
    # Photographs are soft at full size.
    backgrounds = [resize.resize_u8(pictures.read_rgb(path), 0.6) for path in photographs]
    backgrounds = [picture for picture in backgrounds if min(picture.shape[:2]) >= 512]
    result: dict[str, Any] = {"pictures": len(names), "photographs": len(backgrounds)}
    for kind in ("studio", "photograph") if backgrounds else ("studio",):
        grid: dict[tuple[float, float], list[float]] = {(p, s): [] for p in PADDINGS for s in SIGMAS}
        alone: dict[str, list[float]] = {"general": [], "face": []}
        for name in names:
            source = pictures.read_rgb(args.data / name)
            if kind == "photograph":
                photograph = backgrounds[int(random.integers(len(backgrounds)))]
                source = over_photograph(source, np.array(boxes[name]), photograph, random)
            size = np.array([source.shape[1], source.shape[0]] * 2)
            for height in MASK_HEIGHTS:
                scale = min(4.0 * height / ((boxes[name][3] - boxes[name][1]) * source.shape[0]), 1.0)
                high = resize.mod4(resize.resize_u8(source, scale))
                high = high[:, : high.shape[1] // 4 * 4]
                low = resize.resize_u8(high, 0.25)
                box = np.array(boxes[name]) * size * scale / 4.0
                true, first, second = luma(high), *(luma(np.clip(up(low), 0.0, 255.0)) for up in (general, face))
                margin = WIDENED * np.array([box[2] - box[0], box[3] - box[1]])
                x0, y0 = np.maximum(np.round(4 * (box[:2] - margin)).astype(int), BORDER)
                x1, y1 = np.minimum(np.round(4 * (box[2:] + margin)).astype(int), np.array(high.shape[1::-1]) - BORDER)
                part = slice(y0, y1), slice(x0, x1)
                alone["general"].append(psnr(first[part], true[part]))
                alone["face"].append(psnr(second[part], true[part]))
                tracked = [jittered(box, random) for _ in range(2)]
                for (padding, sigma), values in grid.items():
                    for seen in tracked:
                        weight = fusion.mask([seen], *low.shape[:2], padding, sigma)[part]
                        values.append(psnr(fusion.fuse(first[part], second[part], weight), true[part]))
        result[kind] = {
            "alone": {name: float(np.mean(values)) for name, values in alone.items()},
            "grid": [[p, s, float(np.mean(values))] for (p, s), values in grid.items()],
        }
    return result
