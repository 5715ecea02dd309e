"""`evaluate-detector --groups`: recall on the London faces in cluttered pictures, by the groups that the set's own table tells.

Every person is put into the *same* places: a place is a piece of a held-out photograph with patches of other photographs
over it, a spot, a tilt, a light and a grain, all drawn from a fixed seed. So groups differ by their faces alone. Heads are
cut out with the mask that training uses and set in at face heights of `HEIGHTS` pixels.

The pictures' names tell a person's number and nothing else. The groups (self-reported ethnicity, sex) come from
`london_faces_info.csv`, which the set's authors publish beside the pictures (figshare 5047666, CC BY 4.0); it is not part of
this repository. Without it recall is told over all people and by skin tone, as it is measured in the pictures (`skin`).
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import detectors as evaluate
from . import skin
from .cutouts import PORTRAIT, cv2, held_out, person_mask
from .photographs import known_faces

HEIGHTS = (20, 32, 64)  # of the face box, pixels
WIDTH, HEIGHT = 320, 256  # of a picture; multiples of 32
TABLE = "london_faces_info.csv"


@dataclass
class Head:
    """One portrait with its cut-out, 512 x 512."""

    person: str  # three digits
    picture: np.ndarray  # uint8 [512, 512, 3], RGB
    mask: np.ndarray  # uint8 [512, 512], 255 inside
    box: np.ndarray  # float64 [4], the face, pixels
    tone: str = "not told"  # class of skin tone, see `skin`


@dataclass
class Place:
    """Where a head goes and in what light."""

    canvas: np.ndarray  # uint8 [256, 320, 3]
    spot: np.ndarray  # float64 [2] in 0..1, how far along the room that the face's height leaves
    tilt: float  # degrees
    light: float  # factor on the whole picture
    grain: np.ndarray  # float32 [256, 320, 3], added at the end, levels of 0..255


def read_table(path: Path) -> dict[str, dict[str, str]]:
    """`london_faces_info.csv`: {"ethnicity": {person: group}, "sex": {person: group}}; ValueError where columns are missing."""
    with open(path, newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    wanted = {"face_id", "face_sex", "face_eth"}
    if not rows or not wanted <= set(rows[0]):
        raise ValueError(f"{path}: expected the columns {sorted(wanted)}, found {sorted(rows[0]) if rows else 'no row'}")
    numbers = [row["face_id"].lstrip("X") for row in rows]
    return {"ethnicity": {n: row["face_eth"] for n, row in zip(numbers, rows)}, "sex": {n: row["face_sex"] for n, row in zip(numbers, rows)}}


def read_heads(root: Path) -> list[Head]:
    """The London pictures of `root`/train/face, cut out."""
    with open(root / "faces.csv", newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["path"].startswith("train/face/london-")]
    heads = []
    for row in rows:
        picture = cv2.cvtColor(cv2.imread(str(root / row["path"])), cv2.COLOR_BGR2RGB)
        picture = cv2.resize(picture, (PORTRAIT, PORTRAIT), interpolation=cv2.INTER_AREA)
        box = np.array([float(row[k]) for k in ("x0", "y0", "x1", "y1")]) * PORTRAIT
        mask = cv2.resize(person_mask(picture, box), (PORTRAIT, PORTRAIT), interpolation=cv2.INTER_LINEAR)
        points = np.array([[float(row[f"l{axis}{k}"]) for axis in "xy"] for k in range(5)]) * PORTRAIT
        heads.append(Head(Path(row["path"]).stem.split("-")[1], picture, mask, box, skin.tone(skin.typology_angle(picture, box, points))))
    if not heads:
        raise FileNotFoundError(f"no train/face/london-*.jpg in {root / 'faces.csv'}")
    return heads


def read_photographs(root: Path) -> list[np.ndarray]:
    """The photographs that are held out of training, without those with people: uint8 [h, w, 3] RGB."""
    known = known_faces()
    paths = [p for p in sorted((root / "train" / "general").glob("*.jpg")) if held_out(p.name) and p.name not in known]
    if not paths:
        raise FileNotFoundError(f"no held-out photograph in {root / 'train' / 'general'}")
    return [cv2.cvtColor(cv2.imread(str(p)), cv2.COLOR_BGR2RGB) for p in paths]


def _piece(rng: np.random.Generator, photographs: list[np.ndarray], height: int, width: int) -> np.ndarray:
    source = photographs[rng.integers(len(photographs))]
    zoom = min(float(rng.uniform(1.0, 4.0)), source.shape[0] / height, source.shape[1] / width)
    h, w = max(1, int(height * zoom)), max(1, int(width * zoom))
    y, x = int(rng.integers(source.shape[0] - h + 1)), int(rng.integers(source.shape[1] - w + 1))
    return cv2.resize(np.ascontiguousarray(source[y:y + h, x:x + w]), (width, height), interpolation=cv2.INTER_AREA)


def places(photographs: list[np.ndarray], count: int, seed: int = 20) -> list[Place]:
    """`count` places, the same for the same seed."""
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(count):
        canvas = _piece(rng, photographs, HEIGHT, WIDTH).copy()
        for _ in range(int(rng.integers(6, 15))):  # clutter: ellipses and cards of other photographs
            h, w = int(rng.integers(12, 80)), int(rng.integers(12, 80))
            y, x = int(rng.integers(HEIGHT - h + 1)), int(rng.integers(WIDTH - w + 1))
            mask = np.zeros((h, w), np.uint8)
            if rng.random() < 0.5:
                cv2.ellipse(mask, (w // 2, h // 2), (w // 2, h // 2), 0, 0, 360, 1, -1)
            else:
                mask[:] = 1
            canvas[y:y + h, x:x + w][mask > 0] = _piece(rng, photographs, h, w)[mask > 0]
        grain = rng.normal(0, float(rng.uniform(1, 6)), (HEIGHT, WIDTH, 3)).astype(np.float32)
        out.append(Place(canvas, rng.uniform(0, 1, 2), float(rng.uniform(-15, 15)), float(rng.uniform(0.45, 1.1)), grain))
    return out


def compose(head: Head, place: Place, height: int) -> tuple[np.ndarray, np.ndarray]:
    """`head` at a face `height` of pixels in `place`: picture uint8 [256, 320, 3] and the face's box float32 [4]."""
    scale = height / float(head.box[3] - head.box[1])
    half = np.array([(head.box[2] - head.box[0]) / 2, (head.box[3] - head.box[1]) / 2]) * scale
    turn = np.deg2rad(place.tilt)
    # Sides of the turned ellipse that the box holds, as in training.
    reach = np.sqrt(np.array([(half[0] * np.cos(turn)) ** 2 + (half[1] * np.sin(turn)) ** 2, (half[0] * np.sin(turn)) ** 2 + (half[1] * np.cos(turn)) ** 2]))
    margin = reach * 1.3
    centre = margin + place.spot * (np.array([WIDTH, HEIGHT]) - 2 * margin)
    middle = (head.box[:2] + head.box[2:]) / 2
    # Shrunk by areas first: bilinear sampling alone would alias.
    side = max(1, round(PORTRAIT * scale))
    small, mask = (cv2.resize(a, (side, side), interpolation=cv2.INTER_AREA) for a in (head.picture, head.mask))
    middle = middle * (side / PORTRAIT)
    matrix = cv2.getRotationMatrix2D((float(middle[0]) - 0.5, float(middle[1]) - 0.5), -place.tilt, 1.0)
    matrix[:, 2] += centre - middle
    patch = cv2.warpAffine(small, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.warpAffine(mask, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)[..., None].astype(np.float32) / 255
    mixed = (place.canvas + (patch.astype(np.float32) - place.canvas) * alpha) * place.light + place.grain
    return np.clip(mixed + 0.5, 0, 255).astype(np.uint8), np.concatenate([centre - reach, centre + reach]).astype(np.float32)


def measure(detector, heads: list[Head], spots: list[Place], threshold: float, limit: float) -> dict:
    """Per height: {"people": {person: [found, faces]}, "false": boxes, "pictures": n}, IoU from `limit` on."""
    report = {}
    for height in HEIGHTS:
        people: dict[str, list[int]] = {}
        false = 0
        for head in heads:
            for place in spots:
                picture, box = compose(head, place, height)
                found, wrong = evaluate.match(detector(picture, threshold).boxes, box[None], np.zeros((0, 4), np.float32), limit)
                tally = people.setdefault(head.person, [0, 0])
                tally[0] += int(found[0])
                tally[1] += 1
                false += int(wrong.sum())
        report[str(height)] = {"people": people, "false": false, "pictures": len(heads) * len(spots)}
    return report


def summarise(people: dict[str, list[int]], groups: dict[str, str]) -> dict[str, tuple[int, int, int]]:
    """(people, found, faces) of every group; a person whom the table does not name is `not told`."""
    out: dict[str, tuple[int, int, int]] = {}
    for person, (hit, faces) in people.items():
        name = groups.get(person) or "not told"
        count, hits, total = out.get(name, (0, 0, 0))
        out[name] = (count + 1, hits + hit, total + faces)
    return dict(sorted(out.items()))


def spread(summary: dict[str, tuple[int, int, int]]) -> float:
    """Largest difference of recall between two groups that the table tells."""
    recalls = [hit / faces for name, (_, hit, faces) in summary.items() if name != "not told" and faces]
    return max(recalls) - min(recalls) if recalls else 0.0


def report(detectors: list, root: Path, table: Path | None, count: int, limit: float) -> dict:
    """Measure `detectors`, rows of (detector, threshold); one row of the result for each detector and height.

    `table` is `london_faces_info.csv` or None. Groups are those of the table and, beside them, skin tones and whether a person was held
    out of the training of our detector.
    """
    heads, spots = read_heads(root), places(read_photographs(root), count)
    kinds = read_table(table) if table else {}
    kinds["skin tone"] = {head.person: head.tone for head in heads}  # of a person's last picture: all are in one light
    kinds["training"] = {head.person: "held out" if held_out(f"london-{head.person}-x.jpg") else "trained on" for head in heads}
    rows = {}
    for detector, threshold in detectors:
        rows[detector.name] = {}
        for height, result in measure(detector, heads, spots, threshold, limit).items():
            row = {"found": sum(p[0] for p in result["people"].values()), "faces": result["pictures"], "false": result["false"], "groups": {}}
            for kind, groups in kinds.items():
                summary = summarise(result["people"], groups)
                row["groups"][kind] = {"spread": spread(summary), "people-found-faces": summary}
            rows[detector.name][height] = row
    return rows


def tell(rows: dict, table: Path | None) -> None:
    """Print what `report` gives."""
    print("London faces in cluttered pictures: found / faces, false boxes a picture, then recall by group (people) and largest difference")
    if table is None:
        print(f"  no {TABLE}: names tell only a person's number, so groups are by skin tone alone; give the table with --groups TABLE")
    for name, heights in rows.items():
        for height, row in heights.items():
            print(f"  {name:20} {height:>3} px  {row['found']}/{row['faces']} = {row['found'] / row['faces']:.3f}, false {row['false'] / row['faces']:.3f}")
            for kind, groups in row["groups"].items():
                text = "  ".join(f"{group} ({n}) {hit / faces:.3f}" for group, (n, hit, faces) in groups["people-found-faces"].items())
                print(f"      {kind:10} {text}  difference {groups['spread']:.3f}")
