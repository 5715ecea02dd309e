"""The face detector: a plain-convolution backbone, a light feature pyramid and one head shared by three strides.

Anchor-free: every cell of the strides 8, 16 and 32 predicts one face. A cell's raw outputs are turned into pixels by
`FaceDetector.decode`, which is part of the exported graph, so that a reader of the ONNX file needs no constants.

Tensors
    images       float32 [b, 3, h, w], RGB, 0..1; h and w multiples of 32.
    predictions  float32 [b, 15, n], n = (h/8)(w/8) + (h/16)(w/16) + (h/32)(w/32), the strides in this order and the
                 cells row by row. Rows 0-3: centre x, centre y, width, height in input pixels; row 4: score 0..1;
                 rows 5-14: x, y of left eye, right eye, nose, left and right corner of the mouth in input pixels
                 (left and right as seen in the picture). A network without points (for objects that have no landmarks, or whose
                 data has none) gives the first five rows only.
"""

from __future__ import annotations

import math

import torch
from torch import nn

STRIDES = (8, 16, 32)
POINTS = 5
ROWS = 5 + 2 * POINTS


class ConvUnit(nn.Module):
    """Convolution, batch normalisation and, unless `act` is false, ReLU; the normalisation folds away at export."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1, act: bool = True):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.act = nn.ReLU(inplace=True) if act else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.norm(self.conv(x)))


class Residual(nn.Module):
    """Two 3x3 convolutions around an identity: [b, c, h, w] -> the same shape."""

    def __init__(self, channels: int):
        super().__init__()
        self.first = ConvUnit(channels, channels)
        self.second = ConvUnit(channels, channels, act=False)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(x + self.second(self.first(x)))


def separable(channels: int) -> nn.Sequential:
    """A 3x3 depthwise and a 1x1 pointwise unit: the shape is kept."""
    return nn.Sequential(ConvUnit(channels, channels, groups=channels), ConvUnit(channels, channels, kernel=1))


class Head(nn.Module):
    """Raw predictions of one stride: [b, c, h, w] -> score logit [b, 1, h, w], box [b, 4, h, w], points
    [b, 2 x points, h, w], of no channels where there are none.

    The weights are shared by the strides; a learnt factor per stride scales the geometry, because a cell of stride 32
    covers faces that are larger in cells than one of stride 8.
    """

    def __init__(self, channels: int, points: int = POINTS):
        super().__init__()
        self.score_tower = separable(channels)
        self.place_tower = nn.Sequential(separable(channels), separable(channels))
        self.score = nn.Conv2d(channels, 1, 1)
        self.box = nn.Conv2d(channels, 4, 1)
        self.points = nn.Conv2d(channels, 2 * points, 1) if points else None
        for layer in filter(None, (self.box, self.points)):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)
        nn.init.normal_(self.score.weight, std=0.01)
        # A face is rare: one cell in a hundred at the start keeps the first steps calm.
        nn.init.constant_(self.score.bias, -math.log(99.0))
        with torch.no_grad():
            self.box.bias[2:] = 1.0

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        place = self.place_tower(x)
        points = place[:, :0] if self.points is None else self.points(place)
        return self.score(self.score_tower(x)), self.box(place), points


class FaceDetector(nn.Module):
    """The whole network; `channels` is the width of everything from stride 8 on (64: about 0.36 M parameters), `points` the
    landmarks that it marks, 0 for boxes alone."""

    def __init__(self, channels: int = 64, points: int = POINTS):
        super().__init__()
        c = channels
        self.channels, self.points = channels, points
        # A face of 10 pixels is two cells at stride 4 and one at stride 8: what tells it from a stone has to be seen before that.
        self.stem = nn.Sequential(ConvUnit(3, c // 4, stride=2), ConvUnit(c // 4, c // 2, stride=2), ConvUnit(c // 2, c // 2), Residual(c // 2))
        self.stage8 = nn.Sequential(ConvUnit(c // 2, c, stride=2), Residual(c))
        self.stage16 = nn.Sequential(ConvUnit(c, c, stride=2), Residual(c))
        self.stage32 = nn.Sequential(ConvUnit(c, c, stride=2), ConvUnit(c, c), separable(c))
        self.lateral = nn.ModuleList(ConvUnit(c, c, kernel=1) for _ in STRIDES)
        self.smooth = nn.ModuleList(separable(c) for _ in STRIDES)
        self.head = Head(c, points)
        self.scale = nn.ParameterList(nn.Parameter(torch.ones(1)) for _ in STRIDES)

    def raw(self, images: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Raw predictions per stride, each (score logit, box, points) as `Head` gives them, geometry already scaled."""
        fine = self.stage8(self.stem(images))
        middle = self.stage16(fine)
        coarse = self.stage32(middle)
        p32 = self.lateral[2](coarse)
        p16 = self.lateral[1](middle) + nn.functional.interpolate(p32, scale_factor=2.0, mode="nearest")
        p8 = self.lateral[0](fine) + nn.functional.interpolate(p16, scale_factor=2.0, mode="nearest")
        raws = []
        for level, feature in enumerate((p8, p16, p32)):
            score, box, points = self.head(self.smooth[level](feature))
            raws.append((score, box, points * self.scale[level]))
        return raws

    @staticmethod
    def decode(box: torch.Tensor, points: torch.Tensor, stride: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Raw box [b, 4, h, w] and points [b, 2 p, h, w] of one stride -> pixels, [b, 4, h w] and [b, 2 p, h w].

        Centres and points are offsets from the cell's centre, in cells; sides are exponentials, in cells.
        """
        b, _, h, w = box.shape
        ys = (torch.arange(h, device=box.device, dtype=box.dtype) + 0.5).view(1, 1, h, 1)
        xs = (torch.arange(w, device=box.device, dtype=box.dtype) + 0.5).view(1, 1, 1, w)
        cx = box[:, 0:1] + xs
        cy = box[:, 1:2] + ys
        sides = torch.exp(box[:, 2:4].clamp(-4.0, 4.0))
        place = torch.cat([cx, cy, sides], 1) * stride
        if not points.shape[1]:
            return place.flatten(2), points.flatten(2)
        px = points[:, 0::2] + xs
        py = points[:, 1::2] + ys
        landmarks = torch.stack([px, py], 2).flatten(1, 2) * stride
        return place.flatten(2), landmarks.flatten(2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """`predictions` of the module's description."""
        parts = []
        for stride, (score, box, points) in zip(STRIDES, self.raw(images)):
            place, landmarks = self.decode(box, points, stride)
            rows = [place, score.sigmoid().flatten(2), *([landmarks] if self.points else [])]
            parts.append(torch.cat(rows, 1))
        return torch.cat(parts, 2)


def parameter_count(model: nn.Module) -> int:
    """How many numbers the model learns."""
    return sum(p.numel() for p in model.parameters())


def folded(model: FaceDetector) -> FaceDetector:
    """A copy in evaluation mode whose batch normalisations are folded into the convolutions before them."""
    import copy

    model = copy.deepcopy(model).eval()
    for unit in model.modules():
        if isinstance(unit, ConvUnit) and isinstance(unit.norm, nn.BatchNorm2d):
            unit.conv = nn.utils.fusion.fuse_conv_bn_eval(unit.conv, unit.norm)
            unit.norm = nn.Identity()
    return model
