"""Which cell answers for which face, and what its answer costs.

Assignment is by centre: a face belongs to the stride that suits its size (two strides where the ranges overlap), and
there to the cells within `RADIUS` cells of its centre. A cell claimed by several faces goes to the one whose centre is
nearest in units of that face's sides. All coordinates are input pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from ..nets.face_detector import STRIDES, FaceDetector

# Longest side of the faces that a stride answers for, pixels: [from, to).
RANGES = ((0.0, 48.0), (36.0, 112.0), (88.0, float("inf")))
RADIUS = 1.25


def cells(height: int, width: int) -> np.ndarray:
    """Centre x, centre y and stride of every cell of a height x width input: float32 [n, 3], in the output's order."""
    rows = []
    for stride in STRIDES:
        ys, xs = np.mgrid[0:height // stride, 0:width // stride]
        rows.append(np.stack([(xs.ravel() + 0.5) * stride, (ys.ravel() + 0.5) * stride, np.full(xs.size, stride)], 1))
    return np.concatenate(rows).astype(np.float32)


def assign(grid: np.ndarray, boxes: np.ndarray, ignore: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For one picture: the face of every cell (int64 [n], -1 none) and the cells that count neither way (bool [n]).

    `grid` as `cells` gives it, `boxes` [m, 4] and `ignore` [k, 4] as x0, y0, x1, y1.
    """
    n = len(grid)
    chosen = np.full(n, -1, np.int64)
    skipped = np.zeros(n, bool)
    x, y, stride = grid[:, 0], grid[:, 1], grid[:, 2]
    for box in ignore:
        skipped |= (x > box[0]) & (x < box[2]) & (y > box[1]) & (y < box[3])
    if len(boxes):
        b = boxes[:, :, None]
        w, h = b[:, 2] - b[:, 0], b[:, 3] - b[:, 1]
        dx, dy = np.abs(x - (b[:, 0] + b[:, 2]) / 2), np.abs(y - (b[:, 1] + b[:, 3]) / 2)
        size = np.maximum(w, h)
        low = np.choose(np.searchsorted(STRIDES, stride), [r[0] for r in RANGES])
        high = np.choose(np.searchsorted(STRIDES, stride), [r[1] for r in RANGES])
        near = (dx < RADIUS * stride) & (dy < RADIUS * stride) & (dx < 0.5 * w) & (dy < 0.5 * h)
        near |= (dx <= 0.5 * stride) & (dy <= 0.5 * stride)
        mine = near & (size >= low) & (size < high)
        cost = np.where(mine, np.maximum(dx / w, dy / h), np.inf)
        best = cost.argmin(0)
        claimed = np.isfinite(cost.min(0))
        chosen[claimed] = best[claimed]
        skipped &= ~claimed
    return chosen, skipped


def complete_iou(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Complete IoU and plain IoU of boxes given as centre x, centre y, width, height: [m, 4] each -> [m], [m]."""
    a0, a1 = a[:, :2] - a[:, 2:] / 2, a[:, :2] + a[:, 2:] / 2
    b0, b1 = b[:, :2] - b[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2
    inter = (torch.minimum(a1, b1) - torch.maximum(a0, b0)).clamp(min=0).prod(1)
    iou = inter / (a[:, 2:].prod(1) + b[:, 2:].prod(1) - inter + 1e-6)
    hull = (torch.maximum(a1, b1) - torch.minimum(a0, b0)).square().sum(1) + 1e-6
    distance = (a[:, :2] - b[:, :2]).square().sum(1) / hull
    shape = (4 / torch.pi**2) * (torch.atan(b[:, 2] / (b[:, 3] + 1e-6)) - torch.atan(a[:, 2] / (a[:, 3] + 1e-6))).square()
    with torch.no_grad():
        weight = shape / (1 - iou + shape + 1e-6)
    return iou - distance - weight * shape, iou


@dataclass
class Losses:
    """Loss terms of one batch; `total` is what training minimises, the others are for the log."""

    total: torch.Tensor
    score: float
    box: float
    points: float
    iou: float


class DetectorLoss:
    """Quality focal loss for the score, complete IoU for the box, L1 in units of the face for the points, if the network marks any.

    The score of a responsible cell is taught 0.5 + 0.5 IoU of the box that the cell predicts now, so that of several
    cells on a face the one with the best box wins the suppression.
    """

    def __init__(self, box_weight: float = 2.0, points_weight: float = 6.0):
        self.box_weight = box_weight
        self.points_weight = points_weight
        self._grids: dict[tuple[int, int], np.ndarray] = {}

    def __call__(self, raws, samples) -> Losses:
        """`raws` as `FaceDetector.raw` gives them; `samples` a list of `data.Sample`, one per picture of the batch."""
        height, width = samples[0].image.shape[:2]
        grid = self._grids.setdefault((height, width), cells(height, width))
        chosen, skipped, boxes, points = [], [], [], []
        marked = raws[0][2].shape[1]
        for sample in samples:
            c, s = assign(grid, sample.boxes, sample.ignore)
            owned = c >= 0
            box = sample.boxes[c[owned]]
            boxes.append(np.stack([(box[:, 0] + box[:, 2]) / 2, (box[:, 1] + box[:, 3]) / 2, box[:, 2] - box[:, 0], box[:, 3] - box[:, 1]], 1))
            points.append(sample.points[c[owned]].reshape(len(box), marked) if marked else np.zeros((len(box), 0)))
            chosen.append(owned)
            skipped.append(s)
        device = raws[0][0].device
        owned = torch.from_numpy(np.stack(chosen)).to(device)
        counted = ~torch.from_numpy(np.stack(skipped)).to(device)
        true_box = torch.from_numpy(np.concatenate(boxes).astype(np.float32)).to(device)
        true_points = torch.from_numpy(np.concatenate(points).astype(np.float32)).to(device)
        logits, places, marks = [], [], []
        for stride, (score, box, point) in zip(STRIDES, raws):
            place, mark = FaceDetector.decode(box.float(), point.float(), stride)
            logits.append(score.float().flatten(1))
            places.append(place)
            marks.append(mark)
        logit = torch.cat(logits, 1)
        place = torch.cat(places, 2).transpose(1, 2)[owned]
        mark = torch.cat(marks, 2).transpose(1, 2)[owned]
        count = max(1, len(true_box))

        target = torch.zeros_like(logit)
        if len(true_box):
            complete, iou = complete_iou(place, true_box)
            box_loss = (1 - complete).sum() / count
            side = true_box[:, 2:].prod(1).sqrt()[:, None]
            points_loss = ((mark - true_points).abs() / side).mean(1).sum() / count if marked else logit.sum() * 0
            target[owned] = 0.5 + 0.5 * iou.detach().clamp(0, 1)
            mean_iou = float(iou.detach().mean())
        else:
            box_loss, points_loss, mean_iou = logit.sum() * 0, logit.sum() * 0, 0.0
        with torch.no_grad():
            focus = (logit.sigmoid() - target).square() * counted
        score_loss = (functional.binary_cross_entropy_with_logits(logit, target, reduction="none") * focus).sum() / count
        total = score_loss * 2.0 + box_loss * self.box_weight + points_loss * self.points_weight
        return Losses(total, float(score_loss.detach()), float(box_loss.detach()), float(points_loss.detach()), mean_iou)
