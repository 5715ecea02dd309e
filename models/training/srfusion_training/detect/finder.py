"""The detector that ships, for pictures whose faces nobody marked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..data.pictures import read_rgb
from . import detectors


class Finder:
    """Boxes of the shipped detector, through the engine's steps: the picture in the upper left corner, padded black to
    multiples of 32, threshold of models.toml, suppression."""

    def __init__(self, models: Path, threads: int) -> None:
        self.detector = detectors.OurDetector(models / "face-detector.onnx", threads)
        self.threshold = detectors.catalogue_threshold(models, "face-detector")
        self.longest = detectors.catalogue_longest(models, "face-detector")

    def __call__(self, picture: np.ndarray) -> list[list[float]]:
        """uint8[h, w, 3] -> boxes x0, y0, x1, y1 in its pixels, best first. Larger pictures are shrunk to models.toml's input-size for it."""
        canvas, factor = detectors.letterboxed(picture, self.longest)
        return (self.detector(canvas, self.threshold).boxes / factor).tolist()


def find_faces(files: list[Path], models: Path) -> dict[Path, list[float]]:
    """File -> the box of its largest face as fractions of width and height, by the detector in ``models``; pictures in which
    it finds none are left out."""
    finder = Finder(models, 1)
    found: dict[Path, list[float]] = {}
    for path in tqdm(files, desc="faces", unit="picture"):
        image = read_rgb(path)
        boxes = finder(image)
        if boxes:
            box = max(boxes, key=lambda b: (b[2] - b[0]) * (b[3] - b[1]))
            found[path] = [value / image.shape[1 - axis % 2] for axis, value in enumerate(box)]
    return found
