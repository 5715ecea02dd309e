"""Training pictures: a cache of decoded, scaled pictures, and patches drawn from it.

Layout of the data folder (``--data`` or ``SRFUSION_DATA``)::

    train/general/*   photographs
    train/face/*      portraits
    faces.csv         path, x0, y0, x1, y1, landmarks; fractions of width and height

The cache holds for each subject ``<subject>.bin`` (RGB samples, uint8, one picture after the other, rows from the top) and
``<subject>.json`` (a list of pictures, see :class:`Picture`). Every photograph is there at several sizes, every portrait at
several heights of its face, because decoding and scaling are the expensive part of making a training patch.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import os
import zlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from . import catalogue, resize

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}

#: Sizes of a photograph, as fractions; each is varied by a few per cent per picture. The photographs are soft at full size
#: and sharp from about a third of it down.
GENERAL_SCALES = (0.2, 0.25, 0.31, 0.38, 0.48, 0.62, 0.8)
#: Heights of a face in high-resolution pixels between which portraits are scaled: 16 to 64 px at low resolution.
FACE_HEIGHTS = (64.0, 256.0)
#: Copies of a portrait in the cache, at different heights and angles.
FACE_COPIES = 8
#: Of every so many source pictures one is left out of training and used to watch it.
HELD_OUT = 16
#: Side of the blocks over which gradient energy is summed, in high-resolution pixels.
BLOCK = 16


@dataclasses.dataclass
class Picture:
    """One picture of the cache."""

    source: str  #: path relative to the data folder
    offset: int  #: of its first sample in the .bin file
    height: int
    width: int
    scale: float  #: of the source
    weight: float  #: how often it is drawn, relative
    held_out: bool
    box: list[float] | None  #: face box x0, y0, x1, y1 in this picture's pixels


def repository_folder() -> Path:
    """The folder that holds ``models/training``."""
    return Path(__file__).resolve().parents[3]


def default_data() -> Path:
    """``SRFUSION_DATA``, else ``../shared/data`` from the repository."""
    return Path(os.environ.get("SRFUSION_DATA") or repository_folder().parent / "shared" / "data")


def default_cache() -> Path:
    """``SRFUSION_TRAIN_CACHE``, else ``train-cache`` beside the repository."""
    return Path(os.environ.get("SRFUSION_TRAIN_CACHE") or repository_folder().parent / "train-cache")


def read_rgb(path: Path | str) -> np.ndarray:
    """uint8[h, w, 3] of a picture file."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def read_faces(data: Path) -> dict[str, list[float]]:
    """Path relative to ``data`` -> face box x0, y0, x1, y1 as fractions of width and height."""
    with open(data / "faces.csv", newline="", encoding="utf-8") as file:
        return {row["path"]: [float(row[key]) for key in ("x0", "y0", "x1", "y1")] for row in csv.DictReader(file)}


def picture_files(folder: Path) -> list[Path]:
    """The pictures of a folder, sorted by name; those of its subfolders where it has none itself."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder of pictures")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    found = found or sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not found:
        raise FileNotFoundError(f"{folder}: holds no picture ({', '.join(sorted(SUFFIXES))})")
    return found


def _is_held_out(name: str) -> bool:
    """Decided by the name, so that a picture added later changes nothing for the others. London's two pictures of one
    person go together."""
    person = name.rsplit("-", 1)[0] if name.startswith("london-") else name
    return zlib.crc32(person.encode()) % HELD_OUT == 0


class _Writer:
    """Appends pictures to ``<subject>.bin`` and writes ``<subject>.json`` last, so that a broken run leaves no index."""

    def __init__(self, cache: Path, subject: str) -> None:
        cache.mkdir(parents=True, exist_ok=True)
        self.index = cache / f"{subject}.json"
        self.index.unlink(missing_ok=True)
        self.file = open(cache / f"{subject}.bin", "wb")
        self.pictures: list[Picture] = []

    def add(self, samples: np.ndarray, **fields: object) -> None:
        """``samples`` uint8[h, w, 3]."""
        offset = self.file.tell()
        self.file.write(np.ascontiguousarray(samples).tobytes())
        height, width = samples.shape[:2]
        self.pictures.append(Picture(offset=offset, height=height, width=width, **fields))  # type: ignore[arg-type]

    def close(self) -> None:
        self.file.close()
        self.index.write_text(json.dumps([dataclasses.asdict(picture) for picture in self.pictures]))


def prepare_general(data: Path, cache: Path, seed: int, limit: int | None = None, folder: Path | None = None) -> int:
    """Cache the photographs of ``folder`` (default: train/general of the data) at :data:`GENERAL_SCALES`; returns the number of
    cached pictures."""
    random = np.random.default_rng(seed)
    writer = _Writer(cache, "general")
    for path in tqdm(picture_files(folder or data / "train" / "general")[:limit], desc="general", unit="picture"):
        image = read_rgb(path)
        for nominal in GENERAL_SCALES:
            scale = 1.0 if nominal == 1.0 else nominal * float(random.uniform(0.93, 1.07))
            small = image if scale == 1.0 else resize.resize_u8(image, scale)
            writer.add(
                small,
                source=f"train/general/{path.name}",
                scale=scale,
                weight=1.0,
                held_out=_is_held_out(path.name),
                box=None,
            )
    writer.close()
    return len(writer.pictures)


def _rotated(image: np.ndarray, degrees: float, box: list[float]) -> tuple[np.ndarray, list[float]]:
    """Turn about the box's centre and cut to what has no empty corner near the face.

    ``box`` in pixels. The result is the largest centred rectangle whose corners still lie in the picture.
    """
    height, width = image.shape[:2]
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    turned = np.asarray(Image.fromarray(image).rotate(degrees, Image.Resampling.BICUBIC, center=(x, y)))
    sine, cosine = abs(np.sin(np.radians(degrees))), abs(np.cos(np.radians(degrees)))
    # A rectangle of half sides (a, b) about the centre stays inside if a cos + b sin and a sin + b cos do.
    half_x, half_y = min(x, width - x) - 1, min(y, height - y) - 1
    shrink = min(half_x / (half_x * cosine + half_y * sine), half_y / (half_x * sine + half_y * cosine))
    a, b = int(half_x * shrink), int(half_y * shrink)
    x0, y0 = int(x) - a, int(y) - b
    cut = turned[max(y0, 0) : int(y) + b, max(x0, 0) : int(x) + a]
    return cut, [box[0] - max(x0, 0), box[1] - max(y0, 0), box[2] - max(x0, 0), box[3] - max(y0, 0)]


def find_faces(files: list[Path], models: Path) -> dict[str, list[float]]:
    """File name -> the box of its largest face as fractions of width and height, by the detector in ``models``; pictures in which
    it finds none are left out."""
    from .finder import Finder

    finder = Finder(models, 1)
    found: dict[str, list[float]] = {}
    for path in tqdm(files, desc="faces", unit="picture"):
        image = read_rgb(path)
        boxes = finder(image)
        if boxes:
            box = max(boxes, key=lambda b: (b[2] - b[0]) * (b[3] - b[1]))
            found[path.name] = [value / image.shape[1 - axis % 2] for axis, value in enumerate(box)]
    return found


def prepare_face(
    data: Path, cache: Path, seed: int, limit: int | None = None, folder: Path | None = None, models: Path | None = None
) -> int:
    """Cache the portraits of train/face that faces.csv names, or those of ``folder`` in which the detector of ``models`` finds a
    face (:func:`find_faces`): :data:`FACE_COPIES` of each at face heights in :data:`FACE_HEIGHTS`, half of them turned by up to
    12 degrees where they are made clearly smaller anyway; returns the number of cached pictures.

    Heights are drawn log-uniformly, one from each of as many equal intervals, and never above the source's own.
    """
    random = np.random.default_rng(seed)
    if folder is None:
        faces = read_faces(data)
        files = [path for path in picture_files(data / "train" / "face") if f"train/face/{path.name}" in faces][:limit]
    else:
        files = picture_files(folder)[:limit]
        faces = {f"train/face/{name}": box for name, box in find_faces(files, models or catalogue.models_folder()).items()}
        files = [path for path in files if f"train/face/{path.name}" in faces]
        if not files:
            raise ValueError(f"{folder}: the detector finds a face in none of its pictures")
    london = sum(path.name.startswith("london-") for path in files)
    # The London set has four ethnic groups where the others are mostly white; it is drawn as often as all other portraits.
    london_weight = max(1.0, (len(files) - london) / london) if london else 1.0
    writer = _Writer(cache, "face")
    low, high = np.log(FACE_HEIGHTS[0]), np.log(FACE_HEIGHTS[1])
    for path in tqdm(files, desc="face", unit="picture"):
        name = f"train/face/{path.name}"
        image = read_rgb(path)
        size = np.array([image.shape[1], image.shape[0]] * 2, dtype=np.float64)
        box = (np.array(faces[name]) * size).tolist()
        for copy in range(FACE_COPIES):
            height = float(np.exp(low + (high - low) * (copy + random.uniform()) / FACE_COPIES))
            scale = min(height / (box[3] - box[1]), 1.0)
            source, place = image, box
            degrees = float(random.uniform(-12.0, 12.0))
            if scale < 0.7 and copy % 2:
                source, place = _rotated(image, degrees, box)
            small = source if scale == 1.0 else resize.resize_u8(source, scale)
            writer.add(
                small,
                source=name,
                scale=scale,
                weight=london_weight if path.name.startswith("london-") else 1.0,
                held_out=_is_held_out(path.name),
                box=[value * scale for value in place],
            )
    writer.close()
    return len(writer.pictures)


class Pictures:
    """The cached pictures of one subject, mapped from the file."""

    def __init__(self, cache: Path, subject: str, held_out: bool = False) -> None:
        index = cache / f"{subject}.json"
        if not index.exists():
            raise FileNotFoundError(f"{index}: not there; run the command 'prepare' first")
        self.samples = np.memmap(cache / f"{subject}.bin", dtype=np.uint8, mode="r")
        pictures = [Picture(**fields) for fields in json.loads(index.read_text())]
        self.pictures = [picture for picture in pictures if picture.held_out == held_out]
        if not self.pictures:
            raise ValueError(f"{index}: no picture is {'held out' if held_out else 'for training'}")

    def view(self, picture: Picture) -> np.ndarray:
        """uint8[h, w, 3], not copied."""
        size = picture.height * picture.width * 3
        return self.samples[picture.offset : picture.offset + size].reshape(picture.height, picture.width, 3)


def gradient_energy(image: np.ndarray) -> np.ndarray:
    """f64[h / BLOCK + 1, w / BLOCK + 1]: running sums (integral image) over blocks of the mean absolute difference of green
    to the right and to below, in grey levels. Green stands for luma here."""
    green = image[..., 1].astype(np.float32)
    energy = np.abs(np.diff(green, axis=0))[:, :-1] + np.abs(np.diff(green, axis=1))[:-1]
    rows, columns = (energy.shape[0] + 1) // BLOCK, (energy.shape[1] + 1) // BLOCK
    energy = np.pad(energy, ((0, 1), (0, 1)), mode="edge")[: rows * BLOCK, : columns * BLOCK]
    blocks = energy.reshape(rows, BLOCK, columns, BLOCK).mean(axis=(1, 3))
    return np.pad(blocks.astype(np.float64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))


def _augmented(patch: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """One of the eight flips and quarter turns of uint8[s, s, 3]."""
    if random.integers(2):
        patch = patch[:, ::-1]
    return np.rot90(patch, int(random.integers(4)))


def to_batch(patches: list[np.ndarray]) -> torch.Tensor:
    """uint8[h, w, 3] patches of one size -> f32[n, 3, h, w] in 0..255."""
    return torch.from_numpy(np.stack([np.ascontiguousarray(patch) for patch in patches])).permute(0, 3, 1, 2).float()


def pair(high: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """f32[n, 3, h, w] in 0..255 -> (low f32[n, 3, h/4, w/4], high), both in 0..1, low rounded to 8 bits as a frame is."""
    low = resize.down4(high).round_().clamp_(0.0, 255.0)
    return low.div_(255.0), high / 255.0


class GeneralPatches:
    """Batches of patches from the photographs.

    A picture is drawn evenly, its size in proportion to ``1 / scale`` (smaller is sharper), the place as the better of
    two by gradient energy, drawn again while the mean gradient is below ``flat`` grey levels, at most ``tries`` times.
    """

    def __init__(self, pictures: Pictures, side: int, batch: int, seed: int, flat: float = 5.0, tries: int = 4) -> None:
        """``side`` of the high-resolution patch in pixels, a multiple of 4 and of BLOCK."""
        if side % BLOCK:
            raise ValueError(f"patch side {side} is not a multiple of {BLOCK}")
        self.source, self.side, self.batch, self.flat, self.tries = pictures, side, batch, flat, tries
        self.random = np.random.default_rng(seed)
        self.usable = [p for p in pictures.pictures if min(p.height, p.width) >= side + BLOCK]
        if not self.usable:
            raise ValueError(f"no cached picture is larger than a patch of {side} px")
        weight = np.array([p.weight / p.scale for p in self.usable])
        self.cumulative = np.cumsum(weight / weight.sum())
        self.energy = [gradient_energy(pictures.view(p)) for p in self.usable]

    def _place(self) -> tuple[float, int, int, int]:
        """(mean gradient, picture, row, column) of one candidate."""
        which = min(int(np.searchsorted(self.cumulative, self.random.random())), len(self.usable) - 1)
        sums, blocks = self.energy[which], self.side // BLOCK
        row = int(self.random.integers(sums.shape[0] - blocks))
        column = int(self.random.integers(sums.shape[1] - blocks))
        total = sums[row + blocks, column + blocks] - sums[row, column + blocks] - sums[row + blocks, column] + sums[row, column]
        return total / blocks**2, which, row * BLOCK, column * BLOCK

    def _patch(self) -> np.ndarray:
        best = max(self._place(), self._place())
        for _ in range(self.tries):
            if best[0] >= self.flat:
                break
            best = max(best, self._place())
        _, which, row, column = best
        picture = self.usable[which]
        # The grid of blocks is for the energy only: places fall between as well.
        row = min(row + int(self.random.integers(BLOCK)), picture.height - self.side)
        column = min(column + int(self.random.integers(BLOCK)), picture.width - self.side)
        return _augmented(self.source.view(picture)[row : row + self.side, column : column + self.side], self.random)

    def draw(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(low f32[n, 3, side/4, side/4], high f32[n, 3, side, side]) in 0..1."""
        return pair(to_batch([self._patch() for _ in range(self.batch)]))


def jitter(high: torch.Tensor, random: np.random.Generator) -> torch.Tensor:
    """Vary light and colour of f32[n, 3, h, w] in 0..255, each picture on its own; the result is rounded and in 0..255.

    Seven in ten pictures are changed: exposure by a factor 0.45..1.15 (surveillance is dark more often than studio
    portraits), gamma 0.75..1.35, contrast 0.7..1.1 about the mean, each channel by a factor 0.85..1.15.
    """
    chosen = torch.from_numpy(random.random(high.shape[0]) < 0.7)
    count = int(chosen.sum())

    def draw(low: float, top: float, channels: int = 1) -> torch.Tensor:
        return torch.from_numpy(random.uniform(low, top, (count, channels, 1, 1)).astype(np.float32))

    changed = high[chosen].div_(255.0).pow_(draw(0.75, 1.35))
    mean = changed.mean(dim=(1, 2, 3), keepdim=True)
    changed.sub_(mean).mul_(draw(0.7, 1.1)).add_(mean)
    changed.mul_(draw(0.45, 1.15) * draw(0.85, 1.15, 3) * 255.0).round_().clamp_(0.0, 255.0)
    result = high.clone()
    result[chosen] = changed
    return result


class FacePatches:
    """Batches of patches from the portraits, cut over the face.

    One batch has one patch side: large where faces are large, small where the whole portrait is small, with the number of
    patches raised so that a batch has about the same number of pixels. Patches of both kinds are drawn equally often.
    """

    def __init__(self, pictures: Pictures, side: int, batch: int, seed: int, small_side: int = 80) -> None:
        """``side`` and ``small_side`` of the high-resolution patch in pixels, multiples of 4."""
        self.source = pictures
        self.random = np.random.default_rng(seed)
        self.kinds: list[tuple[int, int, list[Picture], np.ndarray]] = []
        for patch, low, top in ((small_side, 0, side), (side, side, 1 << 30)):
            usable = [p for p in pictures.pictures if p.box and max(patch, low) <= min(p.height, p.width) < top]
            if usable:
                weight = np.array([p.weight for p in usable])
                self.kinds.append((patch, max(1, batch * side**2 // patch**2), usable, np.cumsum(weight / weight.sum())))
        if not self.kinds:
            raise ValueError(f"no cached portrait is larger than a patch of {small_side} px")

    def _patch(self, side: int, picture: Picture) -> np.ndarray:
        """A patch whose centre lies in the face box, as far as the picture allows."""
        x0, y0, x1, y1 = picture.box  # type: ignore[misc]
        x = int(self.random.uniform(x0, x1)) - side // 2
        y = int(self.random.uniform(y0, y1)) - side // 2
        x, y = min(max(x, 0), picture.width - side), min(max(y, 0), picture.height - side)
        patch = self.source.view(picture)[y : y + side, x : x + side]
        return patch[:, ::-1] if self.random.integers(2) else patch

    def draw(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(low f32[n, 3, s/4, s/4], high f32[n, 3, s, s]) in 0..1."""
        side, batch, usable, cumulative = self.kinds[int(self.random.integers(len(self.kinds)))]
        chosen = np.minimum(np.searchsorted(cumulative, self.random.random(batch)), len(usable) - 1)
        high = to_batch([self._patch(side, usable[int(which)]) for which in chosen])
        return pair(jitter(high, self.random))


PATCHES = {"general": GeneralPatches, "face": FacePatches}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``prepare``."""
    parser.add_argument("--data", type=Path, default=default_data(), help="folder with train/ and faces.csv")
    parser.add_argument("--general", type=Path, metavar="FOLDER", help="photographs, in place of train/general (DIV2K, say)")
    parser.add_argument(
        "--face", type=Path, metavar="FOLDER", help="portraits, in place of train/face and faces.csv (FFHQ, say); the shipped detector finds the faces"
    )
    parser.add_argument("--cache", type=Path, default=default_cache(), help="where the decoded pictures go")
    parser.add_argument("--subject", choices=("general", "face"), action="append", help="only this one (repeatable)")
    parser.add_argument("--limit", type=int, help="at most so many source pictures of each subject")
    parser.add_argument("--seed", type=int, default=1)


def run(args: argparse.Namespace) -> int:
    """Fill the cache."""
    for subject in args.subject or ("general", "face"):
        work, folder = (prepare_general, args.general) if subject == "general" else (prepare_face, args.face)
        count = work(args.data, args.cache, args.seed, args.limit, folder)
        size = (args.cache / f"{subject}.bin").stat().st_size
        print(f"{subject}: {count} pictures, {size / 1e6:.0f} MB")
    return 0
