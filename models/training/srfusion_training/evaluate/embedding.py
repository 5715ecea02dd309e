"""Likeness of two pictures of one face under an embedding network."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from ..export.session import session

#: Places of eyes, nose and mouth corners in the 112 x 112 picture that face embeddings are trained on (ArcFace's template).
TEMPLATE = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]])
EMBEDDING_SIDE = 112


def aligned(picture: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The face of uint8[h, w, 3] turned and scaled so that its five ``points`` f[5, 2] in pixels lie as TEMPLATE, by least
    squares: uint8[112, 112, 3]."""
    # x' = a x - b y + c, y' = b x + a y + d, from the template to the picture, which is the direction of sampling.
    x, y = TEMPLATE[:, 0], TEMPLATE[:, 1]
    one, zero = np.ones(5), np.zeros(5)
    system = np.concatenate([np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)])
    a, b, c, d = np.linalg.lstsq(system, np.concatenate([points[:, 0], points[:, 1]]), rcond=None)[0]
    side = (EMBEDDING_SIDE, EMBEDDING_SIDE)
    image = Image.fromarray(picture).transform(side, Image.Transform.AFFINE, (a, -b, c, b, a, d), Image.Resampling.BICUBIC)
    return np.asarray(image)


class Embedding:
    """Cosine similarity of two pictures of a face under an embedding network (ONNX, f32[1, 3, 112, 112], ImageNet-normalised)."""

    def __init__(self, file: Path, threads: int) -> None:
        if not file.exists():
            raise FileNotFoundError(f"{file}: no such embedding network")
        self.run = session(file, threads)

    def of(self, face: np.ndarray) -> np.ndarray:
        """uint8[112, 112, 3] -> a vector of length 1."""
        value = (face / 255.0 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
        planes = np.ascontiguousarray(value.transpose(2, 0, 1)[None], dtype=np.float32)
        vector = self.run.run(None, {self.run.get_inputs()[0].name: planes})[0].ravel()
        return vector / np.linalg.norm(vector)


def read_points(folder: Path) -> dict[str, np.ndarray]:
    """Path -> f64[5, 2], landmarks as fractions of width and height."""
    with open(folder / "faces.csv", newline="", encoding="utf-8") as file:
        return {
            row["path"]: np.array([[float(row[f"lx{index}"]), float(row[f"ly{index}"])] for index in range(5)])
            for row in csv.DictReader(file)
        }
