"""Training pictures: finding and reading them, and a cache of decoded, scaled ones that patches are drawn from.

Layout of the data folder (``--data`` or ``SRFUSION_DATA``)::

    train/NAME/*      pictures of the subject NAME: general, face, ...
    NAMEs.csv         for subjects that are objects: path, x0, y0, x1, y1, landmarks; fractions of width and height

The cache holds for each subject ``<subject>.bin`` (RGB samples, uint8, one picture after the other, rows from the top) and
``<subject>.json`` (a list of pictures, see :class:`Picture`). Every scene is there at several sizes, every object at
several heights of its box, because decoding and scaling are the expensive part of making a training patch.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import re
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from tqdm import tqdm

from . import resize

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}

#: Sizes of a scene, as fractions; each is varied by a few per cent per picture, 1 is left as it is. The photographs of
#: train/general are soft at full size and sharp from about a third of it down.
GENERAL_SCALES = (0.2, 0.25, 0.31, 0.38, 0.48, 0.62, 0.8)
#: Heights of an object in high-resolution pixels between which pictures are scaled: 16 to 64 px at low resolution.
FACE_HEIGHTS = (64.0, 256.0)
#: Copies of an object in the cache, at different heights and angles.
FACE_COPIES = 8
#: Of every so many identities one is left out of training and used to watch it.
HELD_OUT = 16

#: Files -> for each in which the object was found its box x0, y0, x1, y1 as fractions of width and height.
Find = Callable[[list[Path]], dict[Path, list[float]]]


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
    box: list[float] | None  #: the object's box x0, y0, x1, y1 in this picture's pixels


def read_rgb(path: Path | str) -> np.ndarray:
    """uint8[h, w, 3] of a picture file, upright: turned as its EXIF orientation says."""
    with Image.open(path) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def read_faces(data: Path) -> dict[str, list[float]]:
    """Path relative to ``data`` -> face box x0, y0, x1, y1 as fractions of width and height."""
    return read_boxes(data, "face")


def read_boxes(data: Path, subject: str) -> dict[str, list[float]]:
    """The same for the objects of any subject, from ``<subject>s.csv``."""
    file = data / f"{subject}s.csv"
    if not file.exists():
        raise FileNotFoundError(f"{file}: not there; it holds path,x0,y0,x1,y1 of each picture of train/{subject}")
    with open(file, newline="", encoding="utf-8") as table:
        return {row["path"]: [float(row[key]) for key in ("x0", "y0", "x1", "y1")] for row in csv.DictReader(table)}


def picture_files(folder: Path) -> list[Path]:
    """The pictures of a folder, sorted by name; those of its subfolders where it has none itself."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder of pictures")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    found = found or sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not found:
        raise FileNotFoundError(f"{folder}: holds no picture ({', '.join(sorted(SUFFIXES))})")
    return found


#: How a file is named that shows the identity of another file with another expression or from another side.
_TAKE = re.compile(r"^(.+?)[-_](?:neutral|smiling|front|frontal|left|right|profile)$", re.IGNORECASE)


def identity_of(name: str, pattern: str | None = None) -> str:
    """Whom or what a picture shows, from its path below the subject's folder, so that all its pictures fall on one side of the
    split between training and held-out ones.

    In a folder of folders (VGGFace2, LFW, FFHQ's thousands) it is the folder. Else it is the file's name without an ending like
    ``-neutral``, or where ``pattern`` is given, its first group in the name without suffix: ``(.*)_[0-9]+`` for ``Name_0002.jpg``.
    """
    path = Path(name)
    if pattern is not None:
        found = re.fullmatch(pattern, path.stem)
        if not found or not found.groups():
            raise ValueError(f"the identity '{pattern}' must have a group and match the whole of '{path.stem}'")
        return found.group(1)
    if len(path.parts) > 1:
        return path.parent.as_posix()
    found = _TAKE.match(path.stem)
    return found.group(1) if found else path.name


def is_held_out(name: str, pattern: str | None = None) -> bool:
    """Whether the pictures of this identity are never trained on. Decided by the name, so that a picture added later changes
    nothing for the others."""
    return zlib.crc32(identity_of(name, pattern).encode()) % HELD_OUT == 0


def split(names: Iterable[str], pattern: str | None = None) -> dict[str, bool]:
    """Name -> whether it is held out: by :func:`is_held_out`, and where that leaves nothing on one side, the identity of the
    smallest checksum is held out. A folder that holds all pictures tells nobody apart and is not looked at. ValueError if all
    pictures are of one identity, which cannot be split."""
    names = list(names)
    alone = len({Path(name).parent for name in names}) == 1
    identities = {name: identity_of(Path(name).name if alone else name, pattern) for name in names}
    chosen = {name: zlib.crc32(identity.encode()) % HELD_OUT == 0 for name, identity in identities.items()}
    if all(chosen.values()) or not any(chosen.values()):
        ordered = sorted(set(identities.values()), key=lambda value: (zlib.crc32(value.encode()), value))
        if len(ordered) < 2:
            some = ", ".join(list(identities)[:3])
            raise ValueError(f"the pictures ({some}, ...) are of one identity: two are needed, one is held out of training")
        chosen = {name: identity == ordered[0] for name, identity in identities.items()}
    return chosen


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


def _named(files: list[Path], folder: Path) -> dict[str, Path]:
    """Path below ``folder``, with slashes -> file. A bare name would be the same in many folders of identities."""
    return {path.relative_to(folder).as_posix(): path for path in files}


def prepare_scenes(
    subject: str,
    data: Path,
    cache: Path,
    seed: int,
    limit: int | None = None,
    folders: Sequence[tuple[Path, Sequence[float] | None]] = (),
    scales: Sequence[float] = GENERAL_SCALES,
) -> int:
    """Cache the pictures of ``folders``, each with its scales or ``scales``; returns the number of cached pictures.

    Default: train/SUBJECT of the data at ``scales``, and train/SUBJECT2, whose pictures are sharp, at their own size where it is
    there. A source picture is drawn as often as any other, its sizes in proportion to ``1 / scale`` (smaller is sharper).
    """
    random = np.random.default_rng(seed)
    jobs = []
    sharp = data / "train" / f"{subject}2"
    default = [(data / "train" / subject, None), *([(sharp, (1.0,))] if sharp.is_dir() else [])]
    for folder, own in folders or default:
        named = _named(picture_files(folder)[:limit], folder)
        # The folder's own name comes into the source: two folders may have pictures of one name.
        sides = split(named)
        jobs += [(f"train/{folder.name}/{name}", path, sides[name], own or scales) for name, path in named.items()]
    writer = _Writer(cache, subject)
    for source, path, held, sizes in tqdm(jobs, desc=subject, unit="picture"):
        image = read_rgb(path)
        weight = 1.0 / sum(1.0 / nominal for nominal in sizes)
        for nominal in sizes:
            scale = 1.0 if nominal == 1.0 else nominal * float(random.uniform(0.93, 1.07))
            small = image if scale == 1.0 else resize.resize_u8(image, scale)
            writer.add(small, source=source, scale=scale, weight=weight, held_out=held, box=None)
    writer.close()
    return len(writer.pictures)


def _rotated(image: np.ndarray, degrees: float, box: list[float]) -> tuple[np.ndarray, list[float]]:
    """Turn about the box's centre and cut to what has no empty corner near the object.

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


def prepare_objects(
    subject: str,
    data: Path,
    cache: Path,
    seed: int,
    limit: int | None = None,
    folder: Path | None = None,
    find: Find | None = None,
    heights: Sequence[float] = FACE_HEIGHTS,
    copies: int = FACE_COPIES,
    identity: str | None = None,
) -> int:
    """Cache the pictures of train/SUBJECT that ``<subject>s.csv`` names, or those of ``folder`` in which ``find`` finds the object:
    ``copies`` of each at heights of the object between the two of ``heights``, half of them turned by up to 12 degrees where they
    are made clearly smaller anyway; returns the number of cached pictures.

    Heights are drawn log-uniformly, one from each of as many equal intervals, and never above the source's own. ``identity`` as for
    :func:`identity_of`.
    """
    random = np.random.default_rng(seed)
    base = folder or data / "train" / subject
    named = _named(picture_files(base), base)
    if folder is None:
        listed = read_boxes(data, subject)
        boxes = {name: listed[f"train/{subject}/{name}"] for name in named if f"train/{subject}/{name}" in listed}
        if not boxes:
            raise ValueError(f"{data / f'{subject}s.csv'}: names none of the pictures in {base}")
    else:
        if find is None:
            raise ValueError(f"{folder}: there is nothing that finds a {subject} in its pictures; give {subject}s.csv instead")
        by_file = find(list(named.values())[:limit])
        boxes = {name: by_file[path] for name, path in named.items() if path in by_file}
        if not boxes:
            raise ValueError(f"{folder}: the detector finds a {subject} in none of its pictures")
    names = list(boxes)[:limit]
    held_out = split(names, identity)
    london = sum(name.startswith("london-") for name in names)
    # The London set has four ethnic groups where the others are mostly white; it is drawn as often as all other portraits.
    london_weight = max(1.0, (len(names) - london) / london) if london else 1.0
    writer = _Writer(cache, subject)
    low, high = np.log(heights[0]), np.log(heights[1])
    for name in tqdm(names, desc=subject, unit="picture"):
        image = read_rgb(named[name])
        size = np.array([image.shape[1], image.shape[0]] * 2, dtype=np.float64)
        box = (np.array(boxes[name]) * size).tolist()
        for copy in range(copies):
            height = float(np.exp(low + (high - low) * (copy + random.uniform()) / copies))
            scale = min(height / (box[3] - box[1]), 1.0)
            source, place = image, box
            degrees = float(random.uniform(-12.0, 12.0))
            if scale < 0.7 and copy % 2:
                source, place = _rotated(image, degrees, box)
            small = source if scale == 1.0 else resize.resize_u8(source, scale)
            writer.add(
                small,
                source=f"train/{subject}/{name}",
                scale=scale,
                weight=london_weight if name.startswith("london-") else 1.0,
                held_out=held_out[name],
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
