"""Detectors as files, ours and public ones, all called alike: a picture and a threshold -> boxes, scores, points."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image


@dataclass
class Detections:
    """Faces found in one picture, best first."""

    boxes: np.ndarray  # float32 [m, 4], x0, y0, x1, y1 in pixels
    scores: np.ndarray  # float32 [m]
    points: np.ndarray | None = None  # float32 [m, 5, 2]

    def scaled(self, factor: float) -> "Detections":
        """The same faces in a picture that is `factor` times as large."""
        return Detections(self.boxes * factor, self.scores, None if self.points is None else self.points * factor)


def overlaps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """IoU of every box of a [m, 4] with every box of b [n, 4] (x0, y0, x1, y1): [m, n]."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    inter = np.clip(high - low, 0, None).prod(2)
    area_a, area_b = (a[:, 2:] - a[:, :2]).prod(1), (b[:, 2:] - b[:, :2]).prod(1)
    return inter / np.maximum(area_a[:, None] + area_b[None] - inter, 1e-9)


def suppress(boxes: np.ndarray, scores: np.ndarray, limit: float = 0.45) -> np.ndarray:
    """Greedy suppression: indices of the boxes kept, best first; a box goes when it overlaps a better one by > `limit`."""
    order = np.argsort(-scores, kind="stable")
    kept = []
    while len(order):
        first, rest = order[0], order[1:]
        kept.append(first)
        order = rest[overlaps(boxes[first:first + 1], boxes[rest])[0] <= limit] if len(rest) else rest
    return np.array(kept, np.int64)


def decode_rows(rows: np.ndarray, threshold: float) -> Detections:
    """One picture's `predictions` [15, n], or [5, n] without points, of our detector -> suppressed detections above `threshold`, input pixels."""
    rows = rows[:, rows[4] >= threshold].T
    boxes = np.concatenate([rows[:, 0:2] - rows[:, 2:4] / 2, rows[:, 0:2] + rows[:, 2:4] / 2], 1)
    keep = suppress(boxes, rows[:, 4])
    points = rows[keep, 5:15].reshape(-1, 5, 2) if rows.shape[1] > 5 else None
    return Detections(boxes[keep], rows[keep, 4], points)


def match(boxes: np.ndarray, truth: np.ndarray, ignore: np.ndarray, limit: float) -> tuple[np.ndarray, np.ndarray]:
    """Pair detections (best first) with faces: (found, bool per face; false, bool per detection).

    A detection takes the free face that it overlaps most, from `limit` on. One that takes none and overlaps an ignored
    box by at least 0.3, or has at least half of its area inside one, counts neither way.
    """
    found, false = np.zeros(len(truth), bool), np.zeros(len(boxes), bool)
    if not len(boxes):
        return found, false
    table = overlaps(boxes, truth.reshape(-1, 4))
    for i in range(len(boxes)):
        row = np.where(found, 0.0, table[i]) if len(truth) else np.zeros(0)
        if len(row) and row.max() >= limit:
            found[int(row.argmax())] = True
            continue
        if len(ignore):
            low, high = np.maximum(boxes[i, :2], ignore[:, :2]), np.minimum(boxes[i, 2:], ignore[:, 2:])
            inside = np.clip(high - low, 0, None).prod(1) / max(1e-9, float((boxes[i, 2:] - boxes[i, :2]).prod()))
            if inside.max() >= 0.5 or overlaps(boxes[i:i + 1], ignore).max() >= 0.3:
                continue
        false[i] = True
    return found, false


class OurDetector:
    """Our ONNX file: `predictions` with decoding inside. RGB 0..1."""

    def __init__(self, path: Path, threads: int):
        self.name = path.stem
        self.session = _session(path, threads)

    def __call__(self, picture: np.ndarray, threshold: float) -> Detections:
        """Faces in an RGB uint8 picture whose sides are multiples of 32."""
        tensor = np.ascontiguousarray(picture.transpose(2, 0, 1)[None], dtype=np.float32) / 255.0
        return decode_rows(self.session.run(None, {"images": tensor})[0][0], threshold)


class UltraFace:
    """The public UltraFace files: fixed input, boxes as fractions of it; the picture is letterboxed into the input."""

    def __init__(self, path: Path, threads: int):
        self.name = path.stem
        self.session = _session(path, threads)
        self.input = self.session.get_inputs()[0]

    def __call__(self, picture: np.ndarray, threshold: float) -> Detections:
        """Faces in an RGB uint8 picture of any size."""
        height, width = self.input.shape[2:]
        factor = min(height / picture.shape[0], width / picture.shape[1])
        canvas = np.zeros((height, width, 3), np.uint8)
        small = resized(picture, factor)[:height, :width]
        canvas[:small.shape[0], :small.shape[1]] = small
        tensor = ((canvas.astype(np.float32) - 127.0) / 128.0).transpose(2, 0, 1)[None]
        scores, boxes = self.session.run(["scores", "boxes"], {self.input.name: tensor})
        scores, boxes = scores[0, :, 1], boxes[0] * np.array([width, height, width, height], np.float32) / factor
        boxes, scores = boxes[scores >= threshold], scores[scores >= threshold]
        keep = suppress(boxes, scores)
        return Detections(boxes[keep], scores[keep])


class YuNet:
    """The public YuNet file of free size: per-stride scores, boxes and points. BGR 0..255."""

    def __init__(self, path: Path, threads: int):
        self.name = path.stem
        self.session = _session(path, threads)
        self.names = [output.name for output in self.session.get_outputs()]

    def __call__(self, picture: np.ndarray, threshold: float) -> Detections:
        """Faces in an RGB uint8 picture whose sides are multiples of 32."""
        height, width = picture.shape[:2]
        tensor = np.ascontiguousarray(picture[..., ::-1].transpose(2, 0, 1)[None], dtype=np.float32)
        out = dict(zip(self.names, self.session.run(None, {self.session.get_inputs()[0].name: tensor})))
        boxes, scores, points = [], [], []
        for stride in (8, 16, 32):
            score = np.sqrt(np.clip(out[f"cls_{stride}"].ravel(), 0, 1) * np.clip(out[f"obj_{stride}"].ravel(), 0, 1))
            ys, xs = np.mgrid[0:height // stride, 0:width // stride]
            cell = np.stack([xs.ravel(), ys.ravel()], 1).astype(np.float32)
            place = out[f"bbox_{stride}"].reshape(-1, 4)
            centre, side = (cell + place[:, :2]) * stride, np.exp(place[:, 2:]) * stride
            mark = (out[f"kps_{stride}"].reshape(-1, 5, 2) + cell[:, None]) * stride
            good = score >= threshold
            boxes.append(np.concatenate([centre - side / 2, centre + side / 2], 1)[good])
            scores.append(score[good])
            points.append(mark[good])
        boxes, scores, points = np.concatenate(boxes), np.concatenate(scores), np.concatenate(points)
        keep = suppress(boxes, scores)
        return Detections(boxes[keep], scores[keep], points[keep])


def _session(path: Path, threads: int):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # one public file draws hundreds of harmless warnings
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def resized(picture: np.ndarray, factor: float) -> np.ndarray:
    """A uint8 [h, w, 3] picture scaled by `factor` with an antialiased triangle filter."""
    height, width = max(1, round(picture.shape[0] * factor)), max(1, round(picture.shape[1] * factor))
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR))


def letterboxed(picture: np.ndarray, longest: int, stride: int = 32) -> tuple[np.ndarray, float]:
    """The picture as the engine feeds it (shrunk to `longest`, padded to multiples of `stride`) and the factor taken."""
    factor = min(1.0, longest / max(picture.shape[:2]))
    if factor < 1:
        picture = resized(picture, factor)
    height, width = (-(-side // stride) * stride for side in picture.shape[:2])
    canvas = np.zeros((height, width, 3), np.uint8)
    canvas[:picture.shape[0], :picture.shape[1]] = picture
    return canvas, factor


def catalogue_threshold(models: Path, name: str) -> float:
    """`min-confidence` of a model in models.toml, 0.5 where there is none."""
    return _catalogue_number(models, name, "min-confidence", 0.5)


def catalogue_longest(models: Path, name: str) -> int:
    """`input-size` of a model in models.toml, to which the engine shrinks what it gives it, 640 where there is none."""
    return int(_catalogue_number(models, name, "input-size", 640))


def _catalogue_number(models: Path, name: str, key: str, otherwise: float) -> float:
    path = models / "models.toml"
    if path.exists():
        for block in path.read_text().split("[[model]]")[1:]:
            if re.search(rf'^name\s*=\s*"{re.escape(name)}"', block, re.M):
                found = re.search(rf"^{key}\s*=\s*([0-9.]+)", block, re.M)
                if found:
                    return float(found.group(1))
    return otherwise
