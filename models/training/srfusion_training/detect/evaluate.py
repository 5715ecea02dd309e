"""`evaluate-detector`: recall and false boxes on `dev/detect`, beside public detectors; with `--video`, clips; with `--groups`, recall by group.

A picture is fed as the engine feeds it: shrunk to the `input-size` of models.toml on its longest side if it is larger, padded on the right and
at the bottom to multiples of 32 with black. A face is found when a detection of sufficient score overlaps its box by an
IoU of at least `--iou`; each detection serves one face. The default of 0.4 is lenient because conventions differ: the
annotated truth is a square around the inner face, ours and the public detectors' boxes reach from the forehead to the
chin. A detection that serves no face and lies on no ignored box is false.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .detectors import letterboxed, match, overlaps, resized

CLASSES = ((10, 16), (16, 24), (24, 32), (32, 64), (64, 128), (128, 1000))


@dataclass
class Item:
    """One picture with its truth, in the picture's own pixels."""

    name: str
    picture: np.ndarray
    boxes: np.ndarray
    ignore: np.ndarray
    annotated: bool


def read_detect(folder: Path) -> list[Item]:
    """The pictures of `dev/detect` with `boxes.json`."""
    from PIL import Image

    items = []
    for row in json.loads((folder / "boxes.json").read_text()):
        picture = np.asarray(Image.open(folder / row["file"]).convert("RGB"))
        items.append(Item(row["file"], picture, np.array(row["boxes"], np.float32).reshape(-1, 4),
                          np.array(row["ignore"], np.float32).reshape(-1, 4), row["truth"] == "annotated"))
    return items


def measure(detector, items: list[Item], threshold: float, limit: float, longest: int, smallest: float) -> dict:
    """Recall by size class and false boxes of one detector over `items`.

    A face's size is the geometric mean of its box's sides in the picture's own pixels; `smallest` bounds the summary.
    Size classes count `fed` pixels as well: what is left after the picture was shrunk to `longest`.
    """
    groups = {}
    for group, chosen in (("annotated", [i for i in items if i.annotated]), ("consensus", [i for i in items if not i.annotated])):
        classes = {f"{a}-{b}": [0, 0] for a, b in CLASSES}
        fed_classes = {f"{a}-{b}": [0, 0] for a, b in CLASSES}
        found_large = large = false = detections = 0
        for item in chosen:
            fed, factor = letterboxed(item.picture, longest)
            result = detector(fed, threshold).scaled(1 / factor)
            found, wrong = match(result.boxes, item.boxes, item.ignore, limit)
            sizes = np.sqrt((item.boxes[:, 2:] - item.boxes[:, :2]).prod(1)) if len(item.boxes) else np.zeros(0)
            for size, hit in zip(sizes, found):
                for table, value in ((classes, size), (fed_classes, size * factor)):
                    for a, b in CLASSES:
                        if a <= value < b:
                            table[f"{a}-{b}"][0] += int(hit)
                            table[f"{a}-{b}"][1] += 1
            found_large += int(found[sizes >= smallest].sum())
            large += int((sizes >= smallest).sum())
            false += int(wrong.sum())
            detections += len(result.boxes)
        groups[group] = {"pictures": len(chosen), "found": found_large, "faces": large, "recall": found_large / max(1, large),
                         "false": false, "false-per-picture": false / max(1, len(chosen)), "detections": detections,
                         "by-size": classes, "by-fed-size": fed_classes}
    return groups


def measure_video(detectors, path: Path, longest: int, limit: float, every: int = 1) -> dict:
    """Frames of a clip in which each of `detectors`, rows of (detector, threshold), sees a face, and how they agree.

    There is no truth for the clips. For every detector: frames with a face, the longest run of frames without one, and the
    first detector's boxes beside it: how many of its boxes the first one finds too, and how many the first one has alone.
    """
    try:
        import cv2
    except ImportError as error:
        raise ValueError("clips need OpenCV: install the package with its 'detector' extra") from error
    clip = cv2.VideoCapture(str(path))
    if not clip.isOpened():
        raise FileNotFoundError(f"{path}: cannot be opened as a clip")
    rows = [{"with-face": 0, "longest-gap": 0, "boxes": 0, "found-by-first": 0, "first-alone": 0} for _ in detectors]
    gaps = [0] * len(detectors)
    frames = index = 0
    while True:
        good, frame = clip.read()
        if not good:
            break
        index += 1
        if (index - 1) % every:
            continue
        frames += 1
        fed, _ = letterboxed(np.ascontiguousarray(frame[..., ::-1]), longest)
        results = [detector(fed, threshold) for detector, threshold in detectors]
        for k, (row, result) in enumerate(zip(rows, results)):
            row["boxes"] += len(result.boxes)
            row["with-face"] += int(len(result.boxes) > 0)
            gaps[k] = 0 if len(result.boxes) else gaps[k] + every
            row["longest-gap"] = max(row["longest-gap"], gaps[k])
            found, alone = match(results[0].boxes, result.boxes, np.zeros((0, 4), np.float32), limit)
            row["found-by-first"] += int(found.sum())
            row["first-alone"] += int(alone.sum())
    clip.release()
    return {"frames": frames, "detectors": {detector.name: row for (detector, _), row in zip(detectors, rows)}}


PORTRAIT_HEIGHTS = (16, 20, 24, 32, 64, 128)


def portrait_group(name: str) -> str:
    """The group that a picture's name tells: the Canada set says women and men, the official portraits say nothing."""
    stem = Path(name).stem
    if stem.startswith("canada-"):
        return "canada women" if stem.endswith("f") else "canada men"
    return "official"


def measure_portraits(detector, root: Path, threshold: float, limit: float) -> dict:
    """Recall, mean IoU and point error on `dev/face` shrunk to face boxes of `PORTRAIT_HEIGHTS` pixels, by group.

    The point error is the mean distance of the five points from those of faces.csv, as a fraction of the distance between
    the eyes, over the faces found; the truth was measured with public detectors and is itself not exact.
    """
    import csv

    from PIL import Image

    with open(root / "faces.csv", newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["path"].startswith("dev/face/")]
    pictures = {row["path"]: np.asarray(Image.open(root / row["path"]).convert("RGB")) for row in rows}
    report = {}
    for height in PORTRAIT_HEIGHTS:
        groups: dict[str, list[int]] = {}
        ious, errors, false = [], [], 0
        for row in rows:
            picture = pictures[row["path"]]
            sides = np.array([picture.shape[1], picture.shape[0]], np.float32)
            box = np.array([float(row[k]) for k in ("x0", "y0", "x1", "y1")], np.float32) * np.tile(sides, 2)
            marks = np.array([[float(row[f"lx{k}"]), float(row[f"ly{k}"])] for k in range(5)], np.float32) * sides
            factor = height / float(box[3] - box[1])
            fed, _ = letterboxed(resized(picture, factor), 10**6)
            box, marks = box[None] * factor, marks * factor
            result = detector(fed, threshold)
            found, wrong = match(result.boxes, box, np.zeros((0, 4), np.float32), limit)
            tally = groups.setdefault(portrait_group(row["path"]), [0, 0])
            tally[0] += int(found[0])
            tally[1] += 1
            false += int(wrong.sum())
            if found[0]:
                table = overlaps(result.boxes, box)[:, 0]
                best = int(table.argmax())
                ious.append(float(table[best]))
                if result.points is not None:
                    errors.append(float(np.linalg.norm(result.points[best] - marks, axis=1).mean() / np.linalg.norm(marks[1] - marks[0])))
        report[str(height)] = {
            "groups": groups, "false": false, "mean-iou": float(np.mean(ious)) if ious else None,
            "point-error": float(np.mean(errors)) if errors else None,
        }
    return report


def milliseconds(detector, width: int = 320, height: int = 240, runs: int = 30) -> float:
    """Median time of one picture of noise of this size, decoding and suppression included."""
    import time

    picture = letterboxed(np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8), max(width, height))[0]
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        detector(picture, 0.5)
        times.append(time.perf_counter() - start)
    return 1000 * float(np.median(times))


def draw(detector, items: list[Item], threshold: float, longest: int, folder: Path) -> None:
    """Write every picture, as fed, with boxes and points as PNG."""
    from PIL import Image, ImageDraw

    folder.mkdir(parents=True, exist_ok=True)
    for item in items:
        fed, factor = letterboxed(item.picture, longest)
        result = detector(fed, threshold)
        image = Image.fromarray(fed)
        pen = ImageDraw.Draw(image)
        for boxes, colour in ((item.boxes * factor, "blue"), (item.ignore * factor, "red"), (result.boxes, "lime")):
            for box in boxes:
                pen.rectangle([float(v) for v in box], outline=colour)
        for box, score, points in zip(result.boxes, result.scores, result.points if result.points is not None else []):
            pen.text((float(box[0]), float(box[1]) - 11), f"{score:.2f}", fill="yellow")
            for x, y in points:
                pen.ellipse([float(x) - 1, float(y) - 1, float(x) + 1, float(y) + 1], fill="yellow")
        image.save(folder / (Path(item.name).stem + ".png"))
