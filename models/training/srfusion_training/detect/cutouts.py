"""Portraits with their persons cut out, and photographs to set them over: a cache that mosaics are made from."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..data.pictures import picture_files

try:
    import cv2
except ImportError as error:  # pragma: no cover - depends on the installation
    raise ImportError("detector training needs OpenCV: install the package with its 'detector' extra") from error


PORTRAIT = 512
LEVELS = (512, 256, 128, 64)


HELD_OUT_PERCENT = 8
CACHE_VERSION = 4
#: Every so many frames of a clip of train/video are taken as photographs: neighbours show the same.
CLIP_STEP = 8


def held_out(name: str) -> bool:
    """Whether a training picture is kept for validation, decided by its name so that a person stays on one side.

    The London set has two pictures of each person, `london-<id>_<expression>` or the like: only the id is hashed. Clips have parts, `<scene>-a` and
    so on, of which frames are `<clip>.mp4#<index>`: only the scene is.
    """
    stem = Path(name).stem
    if "#" in name:
        stem = re.sub("-[a-z]$", "", stem)
    if stem.startswith("london-"):
        stem = "london-" + "".join(c for c in stem[len("london-"):].replace("-", "_").split("_")[0] if c.isdigit())
    return int(hashlib.sha256(stem.encode()).hexdigest(), 16) % 100 < HELD_OUT_PERCENT


def person_mask(picture: np.ndarray, box: np.ndarray) -> np.ndarray:
    """A soft mask of head and shoulders of one portrait.

    `picture` is RGB uint8 [512, 512, 3], `box` the face in its pixels; the result is uint8 [256, 256], 255 inside.
    Colour segmentation starts from an ellipse around the head and a trapezoid for the shoulders.
    """
    side = 128
    small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
    x0, y0, x1, y1 = box * (side / PORTRAIT)
    w, h, cx, cy = x1 - x0, y1 - y0, (x0 + x1) / 2, (y0 + y1) / 2
    labels = np.full((side, side), cv2.GC_BGD, np.uint8)

    def ellipse(centre, axes, value):
        cv2.ellipse(labels, tuple(int(round(v)) for v in centre), tuple(max(1, int(round(v))) for v in axes), 0, 0, 360, int(value), -1)

    shoulders = np.array([[cx - 0.45 * w, y1 - 0.05 * h], [cx + 0.45 * w, y1 - 0.05 * h], [cx + 1.75 * w, y1 + 0.75 * h],
                          [cx + 1.9 * w, side], [cx - 1.9 * w, side], [cx - 1.75 * w, y1 + 0.75 * h]])
    cv2.fillPoly(labels, [shoulders.round().astype(np.int32)], int(cv2.GC_PR_FGD))
    ellipse((cx, cy - 0.05 * h), (1.0 * w, 0.85 * h), cv2.GC_PR_BGD)
    ellipse((cx, cy - 0.08 * h), (0.72 * w, 0.66 * h), cv2.GC_PR_FGD)
    ellipse((cx, cy), (0.48 * w, 0.48 * h), cv2.GC_FGD)
    chest = np.array([[cx - 0.3 * w, y1], [cx + 0.3 * w, y1], [cx + 0.8 * w, side], [cx - 0.8 * w, side]])
    cv2.fillPoly(labels, [chest.round().astype(np.int32)], int(cv2.GC_FGD))
    try:
        cv2.grabCut(cv2.cvtColor(small, cv2.COLOR_RGB2BGR), labels, None, np.zeros((1, 65)), np.zeros((1, 65)), 3, cv2.GC_INIT_WITH_MASK)
    except cv2.error:
        pass  # a degenerate colour model: the starting shapes serve as the mask
    mask = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8) * 255
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    count, parts, stats, _ = cv2.connectedComponentsWithStats((mask > 0).astype(np.uint8))
    if count > 2:
        mask[parts != 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))] = 0
    return cv2.GaussianBlur(cv2.resize(mask, (256, 256), interpolation=cv2.INTER_CUBIC), (0, 0), 1.6)


def photograph_files(root: Path) -> list[Path]:
    """The photographs of the data folder, those with people too (:func:`photographs.known_faces` tells where)."""
    folders = (root / "train" / name for name in ("general", "general2"))
    return [path for folder in folders if folder.is_dir() for path in picture_files(folder)]


def clip_frames(root: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Every :data:`CLIP_STEP`-th frame of the clips of `root/train/video`, BGR uint8 [h, w, 3], named `<file>#<index>`. OSError if a clip has none."""
    folder = root / "train" / "video"
    for path in sorted(folder.glob("*.mp4")):
        clip, index = cv2.VideoCapture(str(path)), 0
        while (read := clip.read())[0]:
            if index % CLIP_STEP == 0:
                yield f"{path.name}#{index}", read[1]
            index += 1
        clip.release()
        if not index:
            raise OSError(f"{path}: no frame of it can be read; expected a video that OpenCV opens")


def photographs(root: Path) -> Iterator[tuple[str, np.ndarray]]:
    """What mosaics have as surroundings, and people in some: photographs, then frames of clips; names and RGB uint8 [h, w, 3]."""
    for path in photograph_files(root):
        yield path.name, cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    for name, frame in clip_frames(root):
        yield name, cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)


def prepare(root: Path, cache: Path, say=print) -> None:
    """Decode `root/train` into `cache`; does nothing when the cache is there and of this version.

    Files: `faces-<side>.npy` uint8 [n, side, side, 3] for every side of `LEVELS`, `masks.npy` uint8 [n, 256, 256],
    `backgrounds-<i>-<l>.npy` (halved l times), and `index.json` with names, boxes and points in pixels of 512 x 512.
    """
    index = cache / "index.json"
    if index.exists() and json.loads(index.read_text())["version"] == CACHE_VERSION:
        return
    cache.mkdir(parents=True, exist_ok=True)
    with open(root / "faces.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["path"].startswith("train/face/")]
    faces = {level: np.zeros((len(rows), level, level, 3), np.uint8) for level in LEVELS}
    masks = np.zeros((len(rows), 256, 256), np.uint8)
    boxes, points = [], []
    for i, row in enumerate(rows):
        picture = cv2.cvtColor(cv2.imread(str(root / row["path"])), cv2.COLOR_BGR2RGB)
        picture = cv2.resize(picture, (PORTRAIT, PORTRAIT), interpolation=cv2.INTER_AREA)
        box = np.array([float(row[k]) for k in ("x0", "y0", "x1", "y1")]) * PORTRAIT
        boxes.append(box.tolist())
        points.append([[float(row[f"lx{k}"]) * PORTRAIT, float(row[f"ly{k}"]) * PORTRAIT] for k in range(5)])
        for level in LEVELS:
            faces[level][i] = cv2.resize(picture, (level, level), interpolation=cv2.INTER_AREA)
        masks[i] = person_mask(picture, box)
        if i % 100 == 0:
            say(f"portraits {i} / {len(rows)}", flush=True)
    for level in LEVELS:
        np.save(cache / f"faces-{level}.npy", faces[level])
    np.save(cache / "masks.npy", masks)
    names = []
    for name, picture in photographs(root):
        for level in range(3):
            np.save(cache / f"backgrounds-{len(names)}-{level}.npy", picture)
            picture = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        names.append(name)
    say(f"portraits {len(rows)}, photographs {len(names)}", flush=True)
    index.write_text(json.dumps({"version": CACHE_VERSION, "names": [Path(r["path"]).name for r in rows], "boxes": boxes,
                                 "points": points, "backgrounds": names}))
