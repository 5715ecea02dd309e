"""Skin tones of portraits, measured in the picture: so that rare ones are drawn more often, and that recall can be told by them."""

from __future__ import annotations

import numpy as np

from .cutouts import cv2

# Typology angles between the classes of skin tones, degrees, and the classes' names (Chardon et al., "Skin colour typology and
# suntanning pathways", 1991).
SKIN_TONES = (-30.0, 10.0, 28.0, 41.0, 55.0)
NAMES = ("very dark", "dark", "brown", "tan", "light", "very light")


def cheek(box: np.ndarray, points: np.ndarray, eye: int) -> tuple[float, float]:
    """A place on the cheek under one eye (0 left, 1 right, as seen in the picture) of a face `box` [4] with five `points` [5, 2], in their pixels."""
    x, y = points[eye]
    return x, (y + 2 * points[2][1]) / 3 + 0.06 * (box[3] - box[1])


def typology_angle(picture: np.ndarray, box: np.ndarray, points: np.ndarray) -> float:
    """Individual typology angle of a portrait in degrees, of the median colour of both cheeks: below -30 very dark, above 55 very light. It
    sees the light of the picture too. `picture` uint8 [h, w, 3] RGB, `box` [4] and `points` [5, 2] in its pixels."""
    r = 0.06 * (box[2] - box[0])
    pieces = []
    for eye in (0, 1):
        x, y = cheek(box, points, eye)
        rows, columns = (slice(max(0, int(at - r)), int(at + r) + 1) for at in (y, x))
        pieces.append(picture[rows, columns].reshape(-1, 3))
    colour = np.median(np.concatenate(pieces), axis=0).astype(np.float32) / 255
    light, _, yellow = cv2.cvtColor(colour[None, None], cv2.COLOR_RGB2LAB)[0, 0]
    return float(np.degrees(np.arctan2(light - 50.0, yellow)))


def tone(angle: float) -> str:
    """Name of the class of a typology angle in degrees."""
    return NAMES[int(np.digitize(angle, SKIN_TONES))]


def balance(tones: np.ndarray) -> np.ndarray:
    """How often portraits of skin tones `tones` (typology angles, degrees) are drawn, relative: the rarer a class of tones, the
    more often each of it, by the power 0.7 of the class's count, so that a class of a sixth of the size is drawn 3/5 as often."""
    classes = np.digitize(tones, SKIN_TONES)
    counts = np.bincount(classes, minlength=len(SKIN_TONES) + 1)
    return counts[classes].astype(np.float64) ** -0.7
