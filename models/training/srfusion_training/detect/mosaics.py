"""Synthetic crowds: faces cut from portraits and pasted over photographs, with boxes and points known by construction.

The portraits (SRFUSION_DATA, `train/face` with `faces.csv`) are frontal and lit by a studio; the pictures in which faces
must be found are not. So every person that is pasted is turned, tilted, squeezed, lit from a side, recoloured, cut out
in one of several ways, hidden in part by others and by occluders, and the finished picture is darkened, blurred, made
noisy, shrunk and compressed. Some of the photographs have people in them, small, turned and in the light of the place, which no pasting gives: where
they are is known (`photographs`), and pieces around them are taken more often. Patches that look pasted but hold no face (cloth, skin, photographs, heads without a
face) keep the network from learning the seams instead of the faces.

`cutouts.prepare` decodes everything once into a cache folder (uint8 arrays, read through memory maps), `Mosaics` draws
training samples from it and `feeder.Feeder` does so in processes of its own while the trainer works.

Coordinates are pixels, origin at the top left corner of the top left pixel; boxes are x0, y0, x1, y1; points are left
eye, right eye, nose, left and right corner of the mouth (left and right as seen in the picture).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from . import skin
from .cutouts import LEVELS, PORTRAIT, cv2, held_out
from .photographs import known_faces
from .sample import Sample

FLIPPED_POINTS = (1, 0, 2, 4, 3)
# A face in a photograph that has fewer pixels than this of height there, however it is enlarged, counts neither way.
LEAST_SEEN = 7.0
# Height in pixels from which one can be shown much enlarged.
CLOSE = 18.0


@dataclass
class _Scene:
    """A picture in the making."""

    canvas: np.ndarray  # float32 [side, side, 3], 0..255
    owner: np.ndarray  # int32 [side, side]: 0 background and things, i + 1 person i
    faces: list = field(default_factory=list)  # (box, points, ellipse (cx, cy, a, b, angle))
    ignored: list = field(default_factory=list)  # boxes that count neither way


def level_of(zoom: float) -> int:
    """Which of a photograph's levels a piece of `zoom` full-size pixels a pixel is cut from."""
    return 0 if zoom < 1.6 else 1 if zoom < 3.2 else 2


@dataclass
class _Photograph:
    """A photograph as it lies in the cache, and who is in it, in pixels of its full size."""

    levels: list  # uint8 [h, w, 3], halved once and twice
    boxes: np.ndarray  # [n, 4]
    points: np.ndarray  # [n, 5, 2]
    ignored: np.ndarray  # [m, 4]

    @property
    def empty(self) -> bool:
        """Whether nobody is known to be in it."""
        return not len(self.boxes) and not len(self.ignored)

    def cut(self, x: float, y: float, zoom: float, side: int) -> np.ndarray:
        """uint8 [side, side, 3] whose top left corner is at (x, y) and whose pixels are `zoom` of the full size's wide."""
        level = level_of(zoom)
        source, k = self.levels[level], 2.0**-level
        if k * zoom > 1.0:
            # Whole pixels first, so that shrinking can average.
            rows, columns = (slice(int(k * start), int(np.ceil(k * (start + side * zoom)))) for start in (y, x))
            return cv2.resize(np.ascontiguousarray(source[rows, columns]), (side, side), interpolation=cv2.INTER_AREA)
        move = np.array([[k * zoom, 0, k * (x + zoom / 2) - 0.5], [0, k * zoom, k * (y + zoom / 2) - 0.5]])
        return cv2.warpAffine(np.asarray(source), move, (side, side), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT)


def _yaw(k: float, reach: float, u: np.ndarray) -> np.ndarray:
    """Inverse of s(u) = u + k (reach^2 - u^2) / reach: where the place `u` of the source is seen after a turn."""
    if abs(k) < 1e-4:
        return u - k * reach
    c = k / reach
    return (1.0 - np.sqrt(np.maximum(1.0 - 4.0 * c * (u - k * reach), 0.0))) / (2.0 * c)


class Mosaics:
    """Draws samples of `side` x `side` pixels from a cache made by `prepare`.

    `validation` takes the held-out people and photographs instead of the others. The same seed gives the same samples.
    """

    def __init__(self, cache: Path, side: int = 288, seed: int = 0, validation: bool = False):
        index = json.loads((cache / "index.json").read_text())
        self.side = side
        self.rng = np.random.default_rng(seed)
        self.faces = {level: np.load(cache / f"faces-{level}.npy", mmap_mode="r") for level in LEVELS}
        self.masks = np.load(cache / "masks.npy", mmap_mode="r")
        self.boxes = np.array(index["boxes"])
        self.points = np.array(index["points"])
        self.people = np.array([i for i, n in enumerate(index["names"]) if held_out(n) == validation])
        weights = np.array([2.5 if index["names"][i].startswith("london") else 1.0 for i in self.people])
        weights *= skin.balance(np.array([skin.typology_angle(self.faces[256][i], self.boxes[i] / 2, self.points[i] / 2) for i in self.people]))
        self.weights = weights / weights.sum()
        known = known_faces()
        self.photographs: list[_Photograph] = []
        for i, name in enumerate(index["backgrounds"]):
            if held_out(name) == validation:
                levels = [np.load(cache / f"backgrounds-{i}-{level}.npy", mmap_mode="r") for level in range(3)]
                size = np.array(levels[0].shape[1::-1], np.float64)
                faces = known.get(name)
                boxes, marks, ignored = (faces.boxes, faces.points, faces.ignored) if faces else (np.zeros((0, 4)), np.zeros((0, 5, 2)), np.zeros((0, 4)))
                self.photographs.append(_Photograph(levels, boxes * np.tile(size, 2), marks * size, ignored * np.tile(size, 2)))
        self.backgrounds = [photograph.levels for photograph in self.photographs if photograph.empty]
        self.people_seen = [photograph for photograph in self.photographs if len(photograph.boxes)]
        self.close = [(photograph, box) for photograph in self.people_seen for box in photograph.boxes if box[3] - box[1] >= CLOSE]

    # -- pieces --------------------------------------------------------------------------------------------------

    def _uniform(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def _log_uniform(self, low: float, high: float) -> float:
        return float(np.exp(self.rng.uniform(np.log(low), np.log(high))))

    def _chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def _person(self) -> int:
        return int(self.rng.choice(self.people, p=self.weights))

    def photograph(self, height: int, width: int) -> np.ndarray:
        """A piece of a photograph without people at a random scale, uint8 [height, width, 3]."""
        levels = self.backgrounds[self.rng.integers(len(self.backgrounds))]
        zoom = self._log_uniform(0.5, 6.0)  # source pixels per pixel
        level = level_of(zoom)
        source = levels[level]
        zoom /= 2**level
        h = min(source.shape[0], max(4, int(height * zoom)))
        w = min(source.shape[1], max(4, int(width * zoom)))
        y = int(self.rng.integers(source.shape[0] - h + 1))
        x = int(self.rng.integers(source.shape[1] - w + 1))
        piece = cv2.resize(np.ascontiguousarray(source[y:y + h, x:x + w]), (width, height), interpolation=cv2.INTER_AREA if zoom > 1 else cv2.INTER_LINEAR)
        return piece[:, ::-1] if self._chance(0.5) else piece

    def cloth(self, height: int, width: int) -> np.ndarray:
        """A piece of clothing or neck from below a portrait's chin, uint8 [height, width, 3]."""
        i = self._person()
        x0, _, x1, y1 = self.boxes[i] / 2
        top = min(y1 + self._uniform(0.0, 0.1) * (y1 - self.boxes[i][1] / 2), 230)
        left = self._uniform(max(0, x0 - 60), x0 + 20)
        right = self._uniform(x1 - 20, min(256, x1 + 60))
        piece = self.faces[256][i][int(top):, int(left):max(int(right), int(left) + 8)]
        return cv2.resize(np.ascontiguousarray(piece), (width, height), interpolation=cv2.INTER_AREA)

    def skin(self, height: int, width: int) -> np.ndarray:
        """Stretched skin from a cheek or forehead with a slope of light, uint8 [height, width, 3]."""
        i = self._person()
        x0, y0, x1, y1 = self.boxes[i]
        eye = int(self.rng.integers(2))
        if self._chance(0.5):
            cx, cy = skin.cheek(self.boxes[i], self.points[i], eye)
        else:
            cx, cy = (x0 + x1) / 2, y0 + 0.14 * (y1 - y0)
        r = 0.06 * (x1 - x0)
        cx, cy = np.clip(cx, r, PORTRAIT - r), np.clip(cy, r, PORTRAIT - r)
        piece = np.ascontiguousarray(self.faces[512][i][int(cy - r):int(cy + r) + 2, int(cx - r):int(cx + r) + 2])
        out = cv2.resize(piece, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)
        slope = np.linspace(-1, 1, width, dtype=np.float32)[None, :, None] * self._uniform(-40, 40)
        slope = slope + np.linspace(-1, 1, height, dtype=np.float32)[:, None, None] * self._uniform(-40, 40)
        return np.clip(out + slope, 0, 255).astype(np.uint8)

    def plain(self, height: int, width: int) -> np.ndarray:
        """A flat or sloping colour, uint8 [height, width, 3]."""
        colour, change = self.rng.uniform(0, 255, 3), self._uniform(0, 0.6)
        other = colour * (1 - change) + self.rng.uniform(0, 255, 3) * change
        downwards = self._chance(0.5)
        t = np.linspace(0, 1, height if downwards else width)
        t = t[:, None, None] if downwards else t[None, :, None]
        return np.broadcast_to(colour * (1 - t) + other * t, (height, width, 3)).astype(np.uint8)

    def scrambled(self, height: int, width: int) -> np.ndarray:
        """A face cut into tiles that have changed places: its colours and edges without its order, uint8 [height, width, 3]."""
        i = self._person()
        x0, y0, x1, y1 = (int(v) for v in self.boxes[i] / 2)
        face = self.faces[256][i][y0:y1, x0:x1]
        rows, columns = int(self.rng.integers(3, 6)), int(self.rng.integers(2, 5))
        face = cv2.resize(np.ascontiguousarray(face), (columns * 24, rows * 24), interpolation=cv2.INTER_AREA)
        tiles = [face[r * 24:r * 24 + 24, c * 24:c * 24 + 24] for r in range(rows) for c in range(columns)]
        order = self.rng.permutation(len(tiles))
        tiles = [np.rot90(tiles[k], int(self.rng.integers(4))) for k in order]
        out = np.vstack([np.hstack(tiles[r * columns:(r + 1) * columns]) for r in range(rows)])
        return cv2.resize(np.ascontiguousarray(out), (width, height), interpolation=cv2.INTER_AREA)

    def marked(self, height: int, width: int) -> np.ndarray:
        """Skin or cloth with a few dark or light spots and bars at random: buttons, prints, knuckles, uint8."""
        out = np.ascontiguousarray(self.skin(height, width) if self._chance(0.6) else self.cloth(height, width))
        for _ in range(int(self.rng.integers(1, 7))):
            x, y = int(self.rng.integers(width)), int(self.rng.integers(height))
            axes = (max(1, int(width * self._uniform(0.03, 0.2))), max(1, int(height * self._uniform(0.02, 0.1))))
            tone = float(out[y, x].mean()) * self._uniform(0.2, 0.8) if self._chance(0.75) else self._uniform(180, 255)
            cv2.ellipse(out, (x, y), axes, self._uniform(-90, 90), 0, 360, (tone, tone * self._uniform(0.7, 1), tone * self._uniform(0.7, 1)), -1)
        return cv2.GaussianBlur(out, (0, 0), max(0.3, height * 0.015))

    def _hand(self, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        """A palm with fingers, roughly: picture uint8 [height, width, 3] and mask float32 [height, width]."""
        mask = np.zeros((height, width), np.float32)
        shade = np.ones((height, width), np.float32)
        palm = (int(width * 0.5), int(height * 0.68))
        cv2.ellipse(mask, palm, (max(1, int(width * 0.3)), max(1, int(height * 0.28))), 0, 0, 360, 1.0, -1)
        spread = self._uniform(0.1, 0.5)
        for k in range(int(self.rng.integers(3, 6))):
            way = -np.pi / 2 + (k - 2) * spread
            tip = (int(palm[0] + np.cos(way) * width * 0.55), int(palm[1] + np.sin(way) * height * self._uniform(0.4, 0.6)))
            cv2.line(mask, palm, tip, 1.0, max(1, int(width * 0.13)))
            cv2.line(shade, (palm[0] + int(width * 0.07), palm[1]), (tip[0] + int(width * 0.07), tip[1]), self._uniform(0.4, 0.8), max(1, int(width * 0.04)))
        picture = self.skin(height, width) * cv2.GaussianBlur(shade, (0, 0), max(0.3, width * 0.02))[..., None]
        return picture.astype(np.uint8), cv2.GaussianBlur(mask, (0, 0), max(0.4, width * 0.015))

    def woven(self, height: int, width: int) -> np.ndarray:
        """Stripes, checks or bricks: two periodic patterns over a colour, uint8 [height, width, 3]."""
        base, ink = self.rng.uniform(0, 255, 3), self.rng.uniform(0, 255, 3)
        y, x = np.mgrid[0:height, 0:width].astype(np.float32) / max(height, width)
        pattern = np.zeros((height, width), np.float32)
        way = self._uniform(-0.5, 0.5)
        for angle in (way, way + np.pi / 2)[: int(self.rng.integers(1, 3))]:
            wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * self._log_uniform(15, 120) + self._uniform(0, 6))
            pattern += np.clip(wave * self._log_uniform(1, 6) - self._uniform(-0.6, 0.8), -1, 1)
        weight = (pattern / 4 + 0.5).clip(0, 1)[..., None]
        return (base * (1 - weight) + ink * weight).astype(np.uint8)

    def _texture(self, height: int, width: int) -> np.ndarray:
        kind = self.rng.random()
        if kind < 0.35:
            return self.photograph(height, width)
        if kind < 0.58:
            return self.cloth(height, width)
        if kind < 0.75:
            return self.skin(height, width)
        if kind < 0.86:
            return self.woven(height, width)
        return self.plain(height, width)

    def _someone(self) -> tuple[_Photograph, np.ndarray, float]:
        """A photograph, the face in it that is to be shown, and how many of its pixels one of the picture's shall be: the face comes out 8 to 44 px
        high, and often, enlarged and soft as on a stage far away, up to 130: the portraits have no true profile, these have."""
        if self.close and self._chance(0.4):
            photograph, box = self.close[self.rng.integers(len(self.close))]
            wanted, nearest = self._log_uniform(40, 130), 0.22
        else:
            photograph = self.people_seen[self.rng.integers(len(self.people_seen))]
            box = photograph.boxes[self.rng.integers(len(photograph.boxes))]
            wanted, nearest = self._log_uniform(8, 22) if self._chance(0.6) else self._log_uniform(14, 44), 0.4
        furthest = min(photograph.levels[0].shape[:2]) / self.side
        return photograph, box, float(np.clip((box[3] - box[1]) / wanted, min(nearest, furthest), furthest))

    def _peopled(self) -> _Scene:
        """A piece of a photograph with people in it, around one of them."""
        s = self.side
        photograph, centre, zoom = self._someone()
        height, width = photograph.levels[0].shape[:2]
        x = float(np.clip((centre[0] + centre[2]) / 2 - s * zoom * self._uniform(0.1, 0.9), 0, width - s * zoom))
        y = float(np.clip((centre[1] + centre[3]) / 2 - s * zoom * self._uniform(0.1, 0.9), 0, height - s * zoom))
        piece = photograph.cut(x, y, zoom, s)
        boxes, ignored = ((of - [x, y, x, y]) / zoom for of in (photograph.boxes, photograph.ignored))
        points = (photograph.points - [x, y]) / zoom
        if self._chance(0.5):
            piece = piece[:, ::-1]
            boxes, ignored = (np.stack([s - of[:, 2], of[:, 1], s - of[:, 0], of[:, 3]], 1) for of in (boxes, ignored))
            points = points[:, list(FLIPPED_POINTS)] * [-1, 1] + [s, 0]

        def inside(box: np.ndarray) -> bool:
            return box[2] > 0 and box[3] > 0 and box[0] < s and box[1] < s

        scene = _Scene(np.ascontiguousarray(piece).astype(np.float32), np.zeros((s, s), np.int32))
        scene.ignored = [box for box in ignored if inside(box)]
        for box, marks in zip(boxes, points):
            if not inside(box):
                continue
            if (box[3] - box[1]) * zoom < LEAST_SEEN:
                scene.ignored.append(box)
                continue
            middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
            axes = tuple(max(1, int(np.ceil(v))) for v in half)
            cv2.ellipse(scene.owner, tuple(int(v) for v in middle), axes, 0, 0, 360, len(scene.faces) + 1, -1)
            scene.faces.append((box, marks, (*middle, *half, 0.0)))
        return scene

    def _background(self) -> np.ndarray:
        s = self.side
        kind = self.rng.random()
        if kind < 0.76:
            return self.photograph(s, s)
        if kind < 0.84:
            return self.plain(s, s)
        if kind < 0.92:  # rooms: large areas of different kinds
            out = self.plain(s, s).copy()
            for _ in range(int(self.rng.integers(1, 5))):
                h, w = int(self._uniform(0.2, 0.9) * s), int(self._uniform(0.2, 0.9) * s)
                y, x = int(self.rng.integers(s - h + 1)), int(self.rng.integers(s - w + 1))
                out[y:y + h, x:x + w] = self._texture(h, w)
            return out
        i = self._person()  # a studio's wall or a flag beside a head
        x0, y0 = self.boxes[i][:2] / 2
        w = max(8, int(x0 * 0.55))
        left = self._chance(0.5)
        piece = self.faces[256][i][: int(max(24, y0 + 60)), :w] if left else self.faces[256][i][: int(max(24, y0 + 60)), 256 - w:]
        return cv2.resize(np.ascontiguousarray(piece), (s, s), interpolation=cv2.INTER_LINEAR)

    # -- things without a face -----------------------------------------------------------------------------------

    def _thing(self, scene: _Scene, cx: float, cy: float, size: float) -> None:
        """Paste something that is no face: `size` is its height in pixels, (cx, cy) its centre."""
        s = self.side
        h, w = int(max(4, min(size, 2 * s))), int(max(4, min(size * self._log_uniform(0.4, 1.8), 2 * s)))
        kind = self.rng.random()
        mask = None
        if kind < 0.16:  # a head seen from behind, or without a face: hair or skin in the shape of a person
            i = self._person()
            x0, y0, x1, y1 = self.boxes[i] / 2
            bw, bh = x1 - x0, y1 - y0
            a, b = int(max(0, y0 - 0.45 * bh)), int(min(256, y1 + 0.55 * bh))
            c, d = int(max(0, x0 - 0.7 * bw)), int(min(256, x1 + 0.7 * bw))
            w = max(4, int(h * (d - c) / (b - a)))
            source = self.faces[256][i].astype(np.float32)
            blurred = cv2.resize(cv2.resize(source, (10, 10), interpolation=cv2.INTER_AREA), (256, 256), interpolation=cv2.INTER_CUBIC)
            hide = np.zeros((256, 256), np.float32)
            cv2.ellipse(hide, (int((x0 + x1) / 2), int((y0 + y1) / 2)), (int(0.56 * bw), int(0.56 * bh)), 0, 0, 360, 1.0, -1)
            hide = cv2.GaussianBlur(hide, (0, 0), 5)[..., None]
            # A blurred face a few pixels high is what a real one looks like there.
            if h < 56 or self._chance(0.6):
                hair = source[int(max(0, y0 - 0.12 * bh)):int(y0 + 0.04 * bh) + 2, int(x0 + 0.3 * bw):int(x1 - 0.3 * bw)]
                blurred = cv2.resize(np.ascontiguousarray(hair), (256, 256), interpolation=cv2.INTER_LINEAR)
            piece = np.clip(source * (1 - hide) + blurred * hide, 0, 255).astype(np.uint8)
            piece = cv2.resize(np.ascontiguousarray(piece[a:b, c:d]), (w, h), interpolation=cv2.INTER_AREA)
            mask = cv2.resize(np.ascontiguousarray(self.masks[i][a:b, c:d]), (w, h), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        elif kind < 0.30:
            piece = self.scrambled(h, w)
        elif kind < 0.46:
            piece = self.marked(h, w)
        elif kind < 0.60:
            piece, mask = self._hand(h, w)
        elif kind < 0.72:  # a body without a head: dark suits with a light collar are what is most often taken for a face
            i = self._person()
            chin = min(int(self.boxes[i][3] / 2 + self._uniform(0.02, 0.2) * (self.boxes[i][3] - self.boxes[i][1]) / 2), 240)
            piece, mask = (
                cv2.resize(np.ascontiguousarray(source[i][chin:]), (w, h), interpolation=cv2.INTER_AREA) for source in (self.faces[256], self.masks)
            )
            piece, mask = piece * (self._log_uniform(0.15, 1.0) if self._chance(0.5) else 1.0), mask.astype(np.float32) / 255
        else:
            piece = self._texture(h, w)
        if mask is None:
            mask = np.zeros((h, w), np.float32)
            shape = self.rng.random()
            if shape < 0.45:
                cv2.ellipse(mask, (w // 2, h // 2), (max(1, int(w * 0.46)), max(1, int(h * 0.46))), 0, 0, 360, 1.0, -1)
            elif shape < 0.75:
                mask[:] = 1
            else:
                corners = np.stack([self.rng.uniform(0, w, 6), self.rng.uniform(0, h, 6)], 1).round().astype(np.int32)
                cv2.fillConvexPoly(mask, cv2.convexHull(corners), 1.0)
            if self._chance(0.6):
                mask = cv2.GaussianBlur(mask, (0, 0), max(0.5, h * self._uniform(0.01, 0.06)))
        if self._chance(0.4):
            turn = cv2.getRotationMatrix2D((w / 2, h / 2), self._uniform(-180, 180), 1.0)
            piece = cv2.warpAffine(piece, turn, (w, h), borderMode=cv2.BORDER_REFLECT)
            mask = cv2.warpAffine(mask, turn, (w, h))
        piece = np.clip(piece.astype(np.float32) * self._log_uniform(0.12 if self._chance(0.3) else 0.6, 1.4), 0, 255)
        x, y = int(cx - w / 2), int(cy - h / 2)
        xa, ya, xb, yb = max(0, x), max(0, y), min(s, x + w), min(s, y + h)
        if xa >= xb or ya >= yb:
            return
        m = mask[ya - y:yb - y, xa - x:xb - x]
        region = scene.canvas[ya:yb, xa:xb]
        region += (piece[ya - y:yb - y, xa - x:xb - x] - region) * m[..., None]
        scene.owner[ya:yb, xa:xb][m > 0.5] = 0

    # -- people --------------------------------------------------------------------------------------------------

    def _paste(self, scene: _Scene, cx: float, cy: float, height: float, style: str, mild: bool = False) -> None:
        """Paste a person whose face box is `height` pixels high (before it is turned) and centred on (cx, cy).

        style: `cut` head, shoulders and an extended body by the person's mask; `head` a soft ellipse around the head;
        `card` a rectangle of the portrait with its own background. `mild` leaves the pose nearly as it is.
        """
        s = self.side
        i = self._person()
        box, points = self.boxes[i], self.points[i]
        bw, bh = box[2] - box[0], box[3] - box[1]
        centre = np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])
        flip = -1.0 if self._chance(0.5) else 1.0
        turn = np.deg2rad(self._uniform(-8, 8) if mild or self._chance(0.35) else float(np.clip(self.rng.normal(0, 17), -42, 42)))
        squeeze = self._uniform(0.92, 1.06) if mild else self._uniform(0.8, 1.12)
        shear = 0.0 if mild else float(np.clip(self.rng.normal(0, 0.06), -0.15, 0.15))
        yaw = 0.0 if self._chance(0.3) else float(np.clip(self.rng.normal(0, 0.12 if mild else 0.2), -0.38, 0.38))
        pitch = float(np.clip(self.rng.normal(0, 0.06 if mild else 0.11), -0.25, 0.25))
        profile = 0.0  # side of the picture towards which a head in profile looks
        if not mild and style != "card" and self._chance(0.14):
            profile = -1.0 if self._chance(0.5) else 1.0
            yaw = -profile * self._uniform(0.26, 0.42)
        nose = 0.35 * yaw  # a nose stands out, so a turn moves its tip further than the cheeks
        reach_u, reach_v = 1.4, 1.5
        hw, hh = height * (bw / bh) / 2 * squeeze, height / 2  # half sides in the picture
        squeeze_by_turn = 1.0 - 0.35 * abs(yaw)
        hw *= squeeze_by_turn * (1.35 if profile else 1.0)  # heads are deeper than faces are wide
        cos, sin = np.cos(turn), np.sin(turn)

        def place(u, v):  # (u, v), in half sides from the face's centre after the head's turn -> pixels
            x, y = u * hw + shear * v * hh, v * hh
            return cx + x * cos - y * sin, cy + x * sin + y * cos

        u_points = _yaw(yaw, reach_u, (points[:, 0] - centre[0]) / (bw / 2) * flip)
        v_points = _yaw(pitch, reach_v, (points[:, 1] - centre[1]) / (bh / 2))
        u_points[2] -= nose
        tip_u, tip_v = float(u_points[2]), float(v_points[2])
        u_low, u_high = (float(_yaw(yaw, reach_u, np.float64(edge))) for edge in (-1.0, 1.0))
        v_low, v_high = (float(_yaw(pitch, reach_v, np.float64(edge))) for edge in (-1.0, 1.0))
        if profile:  # what lies beyond the nose is out of sight
            u_low, u_high = (tip_u - 0.06, u_high + 0.12) if profile < 0 else (u_low - 0.12, tip_u + 0.06)
            u_points = np.clip(u_points, u_low, u_high)
        px, py = place(u_points, v_points)
        seen_points = np.stack([px, py], 1)
        if flip < 0:
            seen_points = seen_points[list(FLIPPED_POINTS)]
        # The box: of the ellipse that the face's box holds, after turning.
        fx, fy = place((u_low + u_high) / 2, (v_low + v_high) / 2)
        a, b = (u_high - u_low) / 2 * hw, (v_high - v_low) / 2 * hh
        ex, ey = np.sqrt((a * cos) ** 2 + (b * sin) ** 2), np.sqrt((a * sin) ** 2 + (b * cos) ** 2)
        seen_box = np.array([fx - ex, fy - ey, fx + ex, fy + ey])

        # The part of the picture that may change.
        grow_up, grow_side = 1.5, 4.2 if style == "cut" else 3.2
        body = self._uniform(2.5, 9.0) if style == "cut" else 2.6
        corners_x, corners_y = [], []
        for u in (-grow_side, grow_side):
            for v in (-grow_up - 0.5, body):
                x, y = u * hw + shear * v * hh, v * hh
                corners_x.append(cx + x * cos - y * sin)
                corners_y.append(cy + x * sin + y * cos)
        xa, xb = max(0, int(min(corners_x))), min(s, int(max(corners_x)) + 1)
        ya, yb = max(0, int(min(corners_y))), min(s, int(max(corners_y)) + 1)
        if xb - xa < 2 or yb - ya < 2:
            return
        gx = np.arange(xa, xb, dtype=np.float32)[None, :] + np.float32(0.5 - cx)
        gy = np.arange(ya, yb, dtype=np.float32)[:, None] + np.float32(0.5 - cy)
        # u, v: where in the face each pixel lies, in half sides from its centre, before the head is turned
        v = (gy * np.float32(cos) - gx * np.float32(sin)) / np.float32(hh)
        u = (gx * np.float32(cos) + gy * np.float32(sin)) / np.float32(hw) - v * np.float32(shear * hh / hw)
        u_face, v_face = u, v
        if yaw:
            calm = np.clip((1.9 - v) / 0.7, 0, 1)  # the body turns less than the head
            inside = np.maximum(reach_u**2 - u * u, 0) / reach_u
            bump = np.exp(-(((u - tip_u) / 0.35) ** 2 + ((v - tip_v) / 0.3) ** 2))
            u = u + calm * (yaw * inside + nose * bump)
        v = v + pitch * np.maximum(reach_v**2 - v * v, 0) / reach_v
        level = next((l for l in reversed(LEVELS) if l / PORTRAIT >= 0.9 * height / bh), LEVELS[0])
        scale = level / PORTRAIT
        map_x = (u * np.float32(flip * bw / 2) + np.float32(centre[0])) * np.float32(scale) - 0.5
        map_y = (v * np.float32(bh / 2) + np.float32(centre[1])) * np.float32(scale) - 0.5
        map_x, map_y = map_x.astype(np.float32), map_y.astype(np.float32)
        if style == "cut":
            k = np.float32(256 / level)
            alpha = cv2.remap(np.asarray(self.masks[i]), (map_x + 0.5) * k - 0.5, (map_y + 0.5) * k - 0.5, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).astype(np.float32) / 255
            edge = np.float32(1.5 * scale * 2)
            alpha *= np.clip(np.minimum(map_x, level - 1 - map_x) / edge, 0, 1)
            alpha[v_face > body] = 0
        elif style == "head":
            wide, high, up = self._uniform(1.15, 1.6), self._uniform(1.15, 1.5), self._uniform(-0.25, 0.0)
            soft = self._uniform(0.03, 0.4)
            r = np.sqrt((u_face / wide) ** 2 + ((v_face - up) / high) ** 2)
            alpha = np.clip((1 + soft / 2 - r) / soft, 0, 1)
        else:
            left, right, top, bottom = (self._uniform(*r) for r in ((1.1, 3.2), (1.1, 3.2), (1.1, 2.2), (1.1, 2.6)))
            soft = max(0.02, 0.7 / hh)
            alpha = np.minimum(np.minimum(u_face + left, right - u_face), np.minimum(v_face + top, bottom - v_face))
            alpha = np.clip(alpha / soft + 0.5, 0, 1)
            alpha *= (map_x > -1) & (map_x < level) & (map_y > -1) & (map_y < level)
        if profile:
            recede = self._uniform(0.05, 0.22) * (1 - np.exp(-(((v_face - tip_v) / 0.28) ** 2)))
            beyond = profile * (u_face - tip_u) - 0.06 + recede
            alpha = alpha * np.maximum(np.clip(0.5 - beyond / max(0.04, 1.0 / hw), 0, 1), np.clip((v_face - 1.1) / 0.2, 0, 1))
        alpha = alpha.astype(np.float32)
        rows, columns = np.flatnonzero(alpha.max(1) > 0.004), np.flatnonzero(alpha.max(0) > 0.004)
        if not len(rows) or not len(columns):
            return
        used = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        xa, xb, ya, yb = xa + int(columns[0]), xa + int(columns[-1]) + 1, ya + int(rows[0]), ya + int(rows[-1]) + 1
        alpha, u_face, v_face, map_x, map_y = (np.ascontiguousarray(array[used]) for array in (alpha, u_face, v_face, map_x, map_y))
        patch = cv2.remap(np.asarray(self.faces[level][i]), map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
        if style == "cut" and self._chance(0.6):  # other clothes where the portrait ends; else its last row runs on
            below = np.clip((map_y - level * 0.985) / (0.01 * level), 0, 1)[..., None]
            if below.any():
                patch += (self._texture(*patch.shape[:2]).astype(np.float32) - patch) * below

        self._adorn(patch, u_face, v_face, (px, py, xa, ya), hw, hh)
        patch = self._relight(patch, u_face, v_face, scene.canvas[ya:yb, xa:xb])
        region = scene.canvas[ya:yb, xa:xb]
        region += (patch - region) * alpha[..., None]
        number = len(scene.faces) + 1
        scene.owner[ya:yb, xa:xb][alpha > 0.5] = number
        scene.faces.append((seen_box, seen_points, (fx, fy, a, b, float(np.rad2deg(turn)))))

    def _adorn(self, patch: np.ndarray, u: np.ndarray, v: np.ndarray, seen_relative, hw: float, hh: float) -> None:
        """Now and then dark glasses, a hat or hair over the forehead, a beard-like shade; in place, float32 0..255."""
        px, py, xa, ya = seen_relative
        kind = self.rng.random()
        if kind < 0.05:
            tone = self.rng.uniform(5, 60, 3).astype(np.float32)
            strength = self._uniform(0.75, 1.0)
            gx = np.arange(patch.shape[1], dtype=np.float32)[None, :] + xa
            gy = np.arange(patch.shape[0], dtype=np.float32)[:, None] + ya
            for k in (0, 1):
                r = ((gx - px[k]) / (0.36 * hw)) ** 2 + ((gy - py[k]) / (0.2 * hh)) ** 2
                m = np.clip((1.15 - r) / 0.3, 0, 1)[..., None] * strength
                patch += (tone - patch) * m
        elif kind < 0.10:
            brim = self._uniform(-0.85, -0.5) + self._uniform(-0.15, 0.15) * u
            m = np.clip((brim - v) / 0.08, 0, 1)[..., None] * (np.abs(u) < self._uniform(1.25, 1.7))[..., None]
            tone = self.rng.uniform(0, 255, 3).astype(np.float32)
            cover = patch * 0.15 + tone * 0.85 if self._chance(0.5) else self._texture(*patch.shape[:2]).astype(np.float32)
            patch += (cover - patch) * m
        elif kind < 0.15:
            m = (np.exp(-((u / 0.75) ** 2) - (((v - 0.75) / 0.4) ** 2)) * self._uniform(0.3, 0.8))[..., None]
            patch += (self.rng.uniform(10, 90, 3).astype(np.float32) - patch) * m

    def _relight(self, patch: np.ndarray, u: np.ndarray, v: np.ndarray, under: np.ndarray) -> np.ndarray:
        """Another light: level, contrast, colour, direction; float32 0..255 in and out. `under` is what it will cover."""
        patch = patch / 255.0
        if self._chance(0.75):
            patch = np.power(np.clip(patch, 0, 1), self._log_uniform(0.55, 2.0))
        if self._chance(0.5):
            patch = patch * self._log_uniform(0.45, 1.35)
        if self._chance(0.45):  # darker or lighter skin and clothing, hue shifts
            patch = patch * self.rng.uniform(0.75, 1.2, 3).astype(np.float32)
        if self._chance(0.45):  # light from a side: a slope or a hard edge across the face
            way = self._uniform(0, 2 * np.pi)
            t = np.cos(way) * u + np.sin(way) * v
            if self._chance(0.3):
                t = np.tanh(4.0 * (t - self._uniform(-0.5, 0.5)))
            else:
                t = np.clip(t, -1.6, 1.6)
            patch = patch * np.clip(1 + self._uniform(0.15, 0.6) * t, 0.15, 2.0)[..., None].astype(np.float32)
        if self._chance(0.1):  # a highlight
            g = np.exp(-(((u - self._uniform(-1, 1)) / 0.4) ** 2) - (((v - self._uniform(-1, 1)) / 0.4) ** 2))
            patch = patch + self._uniform(0.2, 0.7) * g[..., None].astype(np.float32)
        if self._chance(0.35):
            level = float(under.mean()) / 255.0
            patch = patch * np.clip((level + 0.12) / (float(patch.mean()) + 0.12), 0.4, 1.6) ** self._uniform(0.3, 1.0)
        if self._chance(0.3):
            grey = patch.mean(2, keepdims=True)
            patch = grey + (patch - grey) * self._uniform(0.0, 1.5)
        return np.clip(patch, 0, 1).astype(np.float32) * 255.0

    # -- pictures ------------------------------------------------------------------------------------------------

    def sample(self) -> Sample:
        """One picture with its truth."""
        s = self.side
        peopled = bool(self.people_seen) and self._chance(0.22)
        scene = self._peopled() if peopled else _Scene(self._background().astype(np.float32), np.zeros((s, s), np.int32))
        if peopled and self._chance(0.7):  # as it was taken
            return self._truth(scene, *self._spoil(scene.canvas))
        if self._chance(0.2):  # a clutter of small things
            for _ in range(int(self.rng.integers(6, 30))):
                self._thing(scene, self._uniform(0, s), self._uniform(0, s), self._log_uniform(8, 60))
        for _ in range(int(self.rng.integers(0, 6))):
            self._thing(scene, self._uniform(0, s), self._uniform(0, s), self._log_uniform(10, 220))
        kind = self.rng.random()
        styles = ("cut", "cut", "cut", "cut", "head", "card")
        if kind < 0.09:
            pass
        elif kind < 0.40:
            for _ in range(int(self.rng.integers(1, 7))):
                # Small faces are the hard ones.
                height = self._log_uniform(9, 26) if self._chance(0.55) else self._log_uniform(11, 150)
                self._paste(scene, self._uniform(0.02, 0.98) * s, self._uniform(0.02, 0.95) * s, height, str(self.rng.choice(styles)))
        elif kind < 0.66:
            self._crowd(scene)
        elif kind < 0.76:
            self._cards(scene)
        else:
            for _ in range(int(self.rng.integers(1, 4))):
                height = self._log_uniform(55, 300)
                x, y = self._uniform(0.1, 0.9) * s, self._uniform(0.1, 0.9) * s
                if height > 160:
                    x, y = s / 2 + self._uniform(-0.3, 0.3) * s, s / 2 + self._uniform(-0.3, 0.3) * s
                self._paste(scene, x, y, height, str(self.rng.choice(styles)))
        for _ in range(int(self.rng.integers(0, 5))):
            self._thing(scene, self._uniform(0, s), self._uniform(0, s), self._log_uniform(8, 70))
        for box, _, _ in list(scene.faces):
            height = box[3] - box[1]
            while self._chance(0.3):  # hands, knees, prints and bags where a body is
                self._thing(scene, (box[0] + box[2]) / 2 + self._uniform(-1.3, 1.3) * height, (box[1] + box[3]) / 2 + self._uniform(1.1, 4.0) * height,
                            height * self._uniform(0.3, 1.1))
            if self._chance(0.16):  # a hand, a cup, a pole before the face
                size = (box[3] - box[1]) * self._uniform(0.2, 0.7)
                way = self._uniform(0, 2 * np.pi)
                reach = (box[3] - box[1]) * self._uniform(0.2, 0.55)
                self._thing(scene, (box[0] + box[2]) / 2 + np.cos(way) * reach, (box[1] + box[3]) / 2 + np.sin(way) * reach, size)
        image, shrink = self._spoil(scene.canvas)
        return self._truth(scene, image, shrink)

    def _crowd(self, scene: _Scene) -> None:
        """Rows of people, the nearer ones before and larger than the farther ones."""
        s = self.side
        base = self._log_uniform(9, 60)
        mild = self._chance(0.5)
        growth = self._uniform(1.0, 1.35)
        spread = self._uniform(1.2, 2.4)
        style = "cut" if self._chance(0.85) else "head"
        y = self._uniform(0.05, 0.45) * s
        drawn = 0
        while y < s * 1.05 and drawn < 45:
            x = self._uniform(-0.5, 0.5) * base
            while x < s + base * 0.3 and drawn < 45:
                if self._chance(0.85):
                    self._paste(scene, x, y + self._uniform(-0.3, 0.3) * base, base * self._log_uniform(0.85, 1.18), style, mild)
                    drawn += 1
                x += base * spread * self._uniform(0.7, 1.5)
            y += base * self._uniform(1.0, 3.2)
            base *= growth

    def _cards(self, scene: _Scene) -> None:
        """A wall of portraits in frames of their own."""
        s = self.side
        step = self._log_uniform(34, 150)
        for y in np.arange(step / 2, s, step * 1.05):
            for x in np.arange(step / 2, s, step * 0.95):
                if self._chance(0.8):
                    self._paste(scene, x, y, step * self._uniform(0.45, 0.65), "card", mild=self._chance(0.6))

    def _spoil(self, canvas: np.ndarray) -> tuple[np.ndarray, float]:
        """Camera and codec: float32 0..255 -> uint8 and by how much detail was lost (1 none, 2 half the resolution)."""
        s = self.side
        x = canvas / 255.0
        if self._chance(0.3):
            x = np.clip(x, 0, 1) ** self._log_uniform(0.6, 1.8)
        if self._chance(0.3):
            x = (x - 0.5) * self._uniform(0.55, 1.3) + 0.5 + self._uniform(-0.15, 0.15)
        if self._chance(0.18):  # dark rooms, stages
            x = x * self._uniform(0.15, 0.5)
        if self._chance(0.3):
            x = x * self.rng.uniform(0.75, 1.2, 3).astype(np.float32)
        if self._chance(0.1):
            x = np.repeat(x.mean(2, keepdims=True), 3, 2)
        elif self._chance(0.2):
            grey = x.mean(2, keepdims=True)
            x = grey + (x - grey) * self._uniform(0.2, 1.6)
        shrink = 1.0
        kind = self.rng.random()
        x = x.astype(np.float32)
        if kind < 0.18:
            sigma = self._log_uniform(0.4, 1.6)
            x = cv2.GaussianBlur(x, (0, 0), sigma)
            shrink = max(1.0, sigma * 1.3)
        elif kind < 0.26:
            length = int(self.rng.integers(3, 8))
            kernel = np.zeros((length, length), np.float32)
            cv2.line(kernel, (0, int(self.rng.integers(length))), (length - 1, int(self.rng.integers(length))), 1.0)
            kernel = kernel.T if self._chance(0.5) else kernel
            x = cv2.filter2D(x, -1, kernel / kernel.sum())
            shrink = length / 2.5
        elif kind < 0.42:
            factor = self._log_uniform(1.1, 2.4)
            small = cv2.resize(x, (int(s / factor), int(s / factor)), interpolation=cv2.INTER_AREA)
            x = cv2.resize(small, (s, s), interpolation=cv2.INTER_CUBIC if self._chance(0.6) else cv2.INTER_NEAREST)
            shrink = factor
        elif kind < 0.55:
            soft = cv2.GaussianBlur(x, (0, 0), 1.0)
            x = x + (x - soft) * self._uniform(0.3, 1.2)
        if self._chance(0.35):
            grain = self.rng.normal(0, self._log_uniform(0.006, 0.07), (s, s, 1 if self._chance(0.4) else 3)).astype(np.float32)
            x = x + grain
        out = (np.clip(x, 0, 1) * 255 + 0.5).astype(np.uint8)
        if self._chance(0.5):
            quality = int(self._uniform(18, 92))
            _, packed = cv2.imencode(".jpg", out[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
            out = np.ascontiguousarray(cv2.imdecode(packed, cv2.IMREAD_COLOR)[..., ::-1])
        return out, shrink

    def _truth(self, scene: _Scene, image: np.ndarray, shrink: float) -> Sample:
        """Sort the faces pasted into those to be found, those to be ignored and those that cannot be seen."""
        s = self.side
        boxes, points, ignore = [], [], list(scene.ignored)
        grey = image.mean(2)
        # Noise of the picture by the usual difference kernel: a face's contrast must stand out from it.
        grain = float(np.abs(cv2.filter2D(grey, -1, np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float64))).mean()) * 0.2089
        grain = min(grain, 8.0)
        for number, (box, marks, (fx, fy, a, b, angle)) in enumerate(scene.faces, 1):
            x0, y0, x1, y1 = (int(np.floor(box[0])), int(np.floor(box[1])), int(np.ceil(box[2])) + 1, int(np.ceil(box[3])) + 1)
            shape = np.zeros((y1 - y0, x1 - x0), np.uint8)
            cv2.ellipse(shape, ((float(fx - x0), float(fy - y0)), (max(1.0, 1.8 * a), max(1.0, 1.8 * b)), angle), 1, -1)
            total = max(1, int(shape.sum()))
            xa, ya, xb, yb = max(0, x0), max(0, y0), min(s, x1), min(s, y1)
            if xa >= xb or ya >= yb:
                continue
            mine = (scene.owner[ya:yb, xa:xb] == number) & (shape[ya - y0:yb - y0, xa - x0:xb - x0] > 0)
            visible = mine.sum() / total
            size = float(np.sqrt((box[2] - box[0]) * (box[3] - box[1])))
            if visible < 0.12:
                continue
            # A face lost in darkness or glare must not be asked for: what is left of it looks like any dark cloth.
            # What can be seen grows with the level it stands at: a dark face may have less contrast in grey levels than a light one.
            levels = grey[ya:yb, xa:xb][mine] if mine.any() else np.zeros(1)
            contrast, seen_from = float(levels.std()), min(6.0, 4.0 + 0.03 * float(levels.mean()))
            if visible < 0.5 or size < 8.0 or size / shrink < 6.5 or contrast < max(seen_from, 0.8 * grain):
                ignore.append(box)
            else:
                boxes.append(box)
                points.append(marks)
        return Sample(image, np.array(boxes, np.float32).reshape(-1, 4), np.array(points, np.float32).reshape(-1, 5, 2),
                      np.array(ignore, np.float32).reshape(-1, 4))
