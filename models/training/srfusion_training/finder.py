"""The detector that ships, for pictures whose faces nobody marked."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .detector import evaluate


class Finder:
    """Boxes of the shipped detector, through the engine's steps: the picture in the upper left corner, padded black to
    multiples of 32, threshold of models.toml, suppression."""

    def __init__(self, models: Path, threads: int) -> None:
        self.detector = evaluate.OurDetector(models / "face-detector.onnx", threads)
        self.threshold = evaluate.catalogue_threshold(models, "face-detector")

    def __call__(self, picture: np.ndarray) -> list[list[float]]:
        """uint8[h, w, 3] -> boxes x0, y0, x1, y1 in its pixels, best first. Pictures above 640 px are made smaller for it."""
        canvas, factor = evaluate.letterboxed(picture, 640)
        return (self.detector(canvas, self.threshold).boxes / factor).tolist()
