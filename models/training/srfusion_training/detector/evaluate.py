"""`evaluate-detector`: recall and false boxes on `dev/detect`, beside public detectors; with `--video`, clips; with `--groups`, recall by group.

A picture is fed as the engine feeds it: shrunk to 640 pixels on its longest side if it is larger, padded on the right and
at the bottom to multiples of 32 with black. A face is found when a detection of sufficient score overlaps its box by an
IoU of at least `--iou`; each detection serves one face. The default of 0.4 is lenient because conventions differ: the
annotated truth is a square around the inner face, ours and the public detectors' boxes reach from the forehead to the
chin. A detection that serves no face and lies on no ignored box is false.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

CLASSES = ((10, 16), (16, 24), (24, 32), (32, 64), (64, 128), (128, 1000))


@dataclass
class Detections:
    """Faces found in one picture, best first."""

    boxes: np.ndarray  # float32 [m, 4], x0, y0, x1, y1 in pixels
    scores: np.ndarray  # float32 [m]
    points: np.ndarray | None = None  # float32 [m, 5, 2]

    def scaled(self, factor: float) -> "Detections":
        """The same faces in a picture that is `factor` times as large."""
        return Detections(self.boxes * factor, self.scores, None if self.points is None else self.points * factor)


def overlaps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """IoU of every box of a [m, 4] with every box of b [n, 4] (x0, y0, x1, y1): [m, n]."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    inter = np.clip(high - low, 0, None).prod(2)
    area_a, area_b = (a[:, 2:] - a[:, :2]).prod(1), (b[:, 2:] - b[:, :2]).prod(1)
    return inter / np.maximum(area_a[:, None] + area_b[None] - inter, 1e-9)


def suppress(boxes: np.ndarray, scores: np.ndarray, limit: float = 0.45) -> np.ndarray:
    """Greedy suppression: indices of the boxes kept, best first; a box goes when it overlaps a better one by > `limit`."""
    order = np.argsort(-scores, kind="stable")
    kept = []
    while len(order):
        first, rest = order[0], order[1:]
        kept.append(first)
        order = rest[overlaps(boxes[first:first + 1], boxes[rest])[0] <= limit] if len(rest) else rest
    return np.array(kept, np.int64)


def decode_rows(rows: np.ndarray, threshold: float) -> Detections:
    """One picture's `predictions` [15, n] of our detector -> suppressed detections above `threshold`, input pixels."""
    rows = rows[:, rows[4] >= threshold].T
    boxes = np.concatenate([rows[:, 0:2] - rows[:, 2:4] / 2, rows[:, 0:2] + rows[:, 2:4] / 2], 1)
    keep = suppress(boxes, rows[:, 4])
    return Detections(boxes[keep], rows[keep, 4], rows[keep, 5:15].reshape(-1, 5, 2))


def match(boxes: np.ndarray, truth: np.ndarray, ignore: np.ndarray, limit: float) -> tuple[np.ndarray, np.ndarray]:
    """Pair detections (best first) with faces: (found, bool per face; false, bool per detection).

    A detection takes the free face that it overlaps most, from `limit` on. One that takes none and overlaps an ignored
    box by at least 0.3, or has at least half of its area inside one, counts neither way.
    """
    found, false = np.zeros(len(truth), bool), np.zeros(len(boxes), bool)
    if not len(boxes):
        return found, false
    table = overlaps(boxes, truth.reshape(-1, 4))
    for i in range(len(boxes)):
        row = np.where(found, 0.0, table[i]) if len(truth) else np.zeros(0)
        if len(row) and row.max() >= limit:
            found[int(row.argmax())] = True
            continue
        if len(ignore):
            low, high = np.maximum(boxes[i, :2], ignore[:, :2]), np.minimum(boxes[i, 2:], ignore[:, 2:])
            inside = np.clip(high - low, 0, None).prod(1) / max(1e-9, float((boxes[i, 2:] - boxes[i, :2]).prod()))
            if inside.max() >= 0.5 or overlaps(boxes[i:i + 1], ignore).max() >= 0.3:
                continue
        false[i] = True
    return found, false


class OurDetector:
    """Our ONNX file: `predictions` with decoding inside. RGB 0..1."""

    def __init__(self, path: Path, threads: int):
        self.name = path.stem
        self.session = _session(path, threads)

    def __call__(self, picture: np.ndarray, threshold: float) -> Detections:
        """Faces in an RGB uint8 picture whose sides are multiples of 32."""
        tensor = np.ascontiguousarray(picture.transpose(2, 0, 1)[None], dtype=np.float32) / 255.0
        return decode_rows(self.session.run(None, {"images": tensor})[0][0], threshold)


class UltraFace:
    """The public UltraFace files: fixed input, boxes as fractions of it; the picture is letterboxed into the input."""

    def __init__(self, path: Path, threads: int):
        self.name = path.stem
        self.session = _session(path, threads)
        self.input = self.session.get_inputs()[0]

    def __call__(self, picture: np.ndarray, threshold: float) -> Detections:
        """Faces in an RGB uint8 picture of any size."""
        height, width = self.input.shape[2:]
        factor = min(height / picture.shape[0], width / picture.shape[1])
        canvas = np.zeros((height, width, 3), np.uint8)
        small = resized(picture, factor)[:height, :width]
        canvas[:small.shape[0], :small.shape[1]] = small
        tensor = ((canvas.astype(np.float32) - 127.0) / 128.0).transpose(2, 0, 1)[None]
        scores, boxes = self.session.run(["scores", "boxes"], {self.input.name: tensor})
        scores, boxes = scores[0, :, 1], boxes[0] * np.array([width, height, width, height], np.float32) / factor
        boxes, scores = boxes[scores >= threshold], scores[scores >= threshold]
        keep = suppress(boxes, scores)
        return Detections(boxes[keep], scores[keep])


class YuNet:
    """The public YuNet file of free size: per-stride scores, boxes and points. BGR 0..255."""

    def __init__(self, path: Path, threads: int):
        self.name = path.stem
        self.session = _session(path, threads)
        self.names = [output.name for output in self.session.get_outputs()]

    def __call__(self, picture: np.ndarray, threshold: float) -> Detections:
        """Faces in an RGB uint8 picture whose sides are multiples of 32."""
        height, width = picture.shape[:2]
        tensor = np.ascontiguousarray(picture[..., ::-1].transpose(2, 0, 1)[None], dtype=np.float32)
        out = dict(zip(self.names, self.session.run(None, {self.session.get_inputs()[0].name: tensor})))
        boxes, scores, points = [], [], []
        for stride in (8, 16, 32):
            score = np.sqrt(np.clip(out[f"cls_{stride}"].ravel(), 0, 1) * np.clip(out[f"obj_{stride}"].ravel(), 0, 1))
            ys, xs = np.mgrid[0:height // stride, 0:width // stride]
            cell = np.stack([xs.ravel(), ys.ravel()], 1).astype(np.float32)
            place = out[f"bbox_{stride}"].reshape(-1, 4)
            centre, side = (cell + place[:, :2]) * stride, np.exp(place[:, 2:]) * stride
            mark = (out[f"kps_{stride}"].reshape(-1, 5, 2) + cell[:, None]) * stride
            good = score >= threshold
            boxes.append(np.concatenate([centre - side / 2, centre + side / 2], 1)[good])
            scores.append(score[good])
            points.append(mark[good])
        boxes, scores, points = np.concatenate(boxes), np.concatenate(scores), np.concatenate(points)
        keep = suppress(boxes, scores)
        return Detections(boxes[keep], scores[keep], points[keep])


def _session(path: Path, threads: int):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # one public file draws hundreds of harmless warnings
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def resized(picture: np.ndarray, factor: float) -> np.ndarray:
    """A uint8 [h, w, 3] picture scaled by `factor` with an antialiased triangle filter."""
    from PIL import Image

    height, width = max(1, round(picture.shape[0] * factor)), max(1, round(picture.shape[1] * factor))
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR))


def letterboxed(picture: np.ndarray, longest: int, stride: int = 32) -> tuple[np.ndarray, float]:
    """The picture as the engine feeds it (shrunk to `longest`, padded to multiples of `stride`) and the factor taken."""
    factor = min(1.0, longest / max(picture.shape[:2]))
    if factor < 1:
        picture = resized(picture, factor)
    height, width = (-(-side // stride) * stride for side in picture.shape[:2])
    canvas = np.zeros((height, width, 3), np.uint8)
    canvas[:picture.shape[0], :picture.shape[1]] = picture
    return canvas, factor


@dataclass
class Item:
    """One picture with its truth, in the picture's own pixels."""

    name: str
    picture: np.ndarray
    boxes: np.ndarray
    ignore: np.ndarray
    annotated: bool


def read_detect(folder: Path) -> list[Item]:
    """The pictures of `dev/detect` with `boxes.json`."""
    from PIL import Image

    items = []
    for row in json.loads((folder / "boxes.json").read_text()):
        picture = np.asarray(Image.open(folder / row["file"]).convert("RGB"))
        items.append(Item(row["file"], picture, np.array(row["boxes"], np.float32).reshape(-1, 4),
                          np.array(row["ignore"], np.float32).reshape(-1, 4), row["truth"] == "annotated"))
    return items


def measure(detector, items: list[Item], threshold: float, limit: float, longest: int, smallest: float) -> dict:
    """Recall by size class and false boxes of one detector over `items`.

    A face's size is the geometric mean of its box's sides in the picture's own pixels; `smallest` bounds the summary.
    Size classes count `fed` pixels as well: what is left after the picture was shrunk to `longest`.
    """
    groups = {}
    for group, chosen in (("annotated", [i for i in items if i.annotated]), ("consensus", [i for i in items if not i.annotated])):
        classes = {f"{a}-{b}": [0, 0] for a, b in CLASSES}
        fed_classes = {f"{a}-{b}": [0, 0] for a, b in CLASSES}
        found_large = large = false = detections = 0
        for item in chosen:
            fed, factor = letterboxed(item.picture, longest)
            result = detector(fed, threshold).scaled(1 / factor)
            found, wrong = match(result.boxes, item.boxes, item.ignore, limit)
            sizes = np.sqrt((item.boxes[:, 2:] - item.boxes[:, :2]).prod(1)) if len(item.boxes) else np.zeros(0)
            for size, hit in zip(sizes, found):
                for table, value in ((classes, size), (fed_classes, size * factor)):
                    for a, b in CLASSES:
                        if a <= value < b:
                            table[f"{a}-{b}"][0] += int(hit)
                            table[f"{a}-{b}"][1] += 1
            found_large += int(found[sizes >= smallest].sum())
            large += int((sizes >= smallest).sum())
            false += int(wrong.sum())
            detections += len(result.boxes)
        groups[group] = {"pictures": len(chosen), "found": found_large, "faces": large, "recall": found_large / max(1, large),
                         "false": false, "false-per-picture": false / max(1, len(chosen)), "detections": detections,
                         "by-size": classes, "by-fed-size": fed_classes}
    return groups


def measure_video(detectors, path: Path, longest: int, limit: float, every: int = 1) -> dict:
    """Frames of a clip in which each of `detectors`, rows of (detector, threshold), sees a face, and how they agree.

    There is no truth for the clips. For every detector: frames with a face, the longest run of frames without one, and the
    first detector's boxes beside it: how many of its boxes the first one finds too, and how many the first one has alone.
    """
    try:
        import cv2
    except ImportError as error:
        raise ValueError("clips need OpenCV: install the package with its 'detector' extra") from error
    clip = cv2.VideoCapture(str(path))
    if not clip.isOpened():
        raise FileNotFoundError(f"{path}: cannot be opened as a clip")
    rows = [{"with-face": 0, "longest-gap": 0, "boxes": 0, "found-by-first": 0, "first-alone": 0} for _ in detectors]
    gaps = [0] * len(detectors)
    frames = index = 0
    while True:
        good, frame = clip.read()
        if not good:
            break
        index += 1
        if (index - 1) % every:
            continue
        frames += 1
        fed, _ = letterboxed(np.ascontiguousarray(frame[..., ::-1]), longest)
        results = [detector(fed, threshold) for detector, threshold in detectors]
        for k, (row, result) in enumerate(zip(rows, results)):
            row["boxes"] += len(result.boxes)
            row["with-face"] += int(len(result.boxes) > 0)
            gaps[k] = 0 if len(result.boxes) else gaps[k] + every
            row["longest-gap"] = max(row["longest-gap"], gaps[k])
            found, alone = match(results[0].boxes, result.boxes, np.zeros((0, 4), np.float32), limit)
            row["found-by-first"] += int(found.sum())
            row["first-alone"] += int(alone.sum())
    clip.release()
    return {"frames": frames, "detectors": {detector.name: row for (detector, _), row in zip(detectors, rows)}}


PORTRAIT_HEIGHTS = (16, 20, 24, 32, 64, 128)


def portrait_group(name: str) -> str:
    """The group that a picture's name tells: the Canada set says women and men, the official portraits say nothing."""
    stem = Path(name).stem
    if stem.startswith("canada-"):
        return "canada women" if stem.endswith("f") else "canada men"
    return "official"


def measure_portraits(detector, root: Path, threshold: float, limit: float) -> dict:
    """Recall, mean IoU and point error on `dev/face` shrunk to face boxes of `PORTRAIT_HEIGHTS` pixels, by group.

    The point error is the mean distance of the five points from those of faces.csv, as a fraction of the distance between
    the eyes, over the faces found; the truth was measured with public detectors and is itself not exact.
    """
    import csv

    from PIL import Image

    with open(root / "faces.csv", newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["path"].startswith("dev/face/")]
    pictures = {row["path"]: np.asarray(Image.open(root / row["path"]).convert("RGB")) for row in rows}
    report = {}
    for height in PORTRAIT_HEIGHTS:
        groups: dict[str, list[int]] = {}
        ious, errors, false = [], [], 0
        for row in rows:
            picture = pictures[row["path"]]
            sides = np.array([picture.shape[1], picture.shape[0]], np.float32)
            box = np.array([float(row[k]) for k in ("x0", "y0", "x1", "y1")], np.float32) * np.tile(sides, 2)
            marks = np.array([[float(row[f"lx{k}"]), float(row[f"ly{k}"])] for k in range(5)], np.float32) * sides
            factor = height / float(box[3] - box[1])
            fed, _ = letterboxed(resized(picture, factor), 10**6)
            box, marks = box[None] * factor, marks * factor
            result = detector(fed, threshold)
            found, wrong = match(result.boxes, box, np.zeros((0, 4), np.float32), limit)
            tally = groups.setdefault(portrait_group(row["path"]), [0, 0])
            tally[0] += int(found[0])
            tally[1] += 1
            false += int(wrong.sum())
            if found[0]:
                table = overlaps(result.boxes, box)[:, 0]
                best = int(table.argmax())
                ious.append(float(table[best]))
                if result.points is not None:
                    errors.append(float(np.linalg.norm(result.points[best] - marks, axis=1).mean() / np.linalg.norm(marks[1] - marks[0])))
        report[str(height)] = {
            "groups": groups, "false": false, "mean-iou": float(np.mean(ious)) if ious else None,
            "point-error": float(np.mean(errors)) if errors else None,
        }
    return report


def milliseconds(detector, width: int = 320, height: int = 240, runs: int = 30) -> float:
    """Median time of one picture of noise of this size, decoding and suppression included."""
    import time

    picture = letterboxed(np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8), max(width, height))[0]
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        detector(picture, 0.5)
        times.append(time.perf_counter() - start)
    return 1000 * float(np.median(times))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `evaluate-detector`."""
    parser.add_argument("--data", type=Path, default=None, help="folder with dev/ (default: SRFUSION_DATA or ../shared/data)")
    parser.add_argument("--model", type=Path, default=None, help="our ONNX file (default: models/face-detector.onnx)")
    parser.add_argument("--threshold", type=float, default=None, help="score from which a face counts (default: min-confidence in models.toml, else 0.5)")
    parser.add_argument("--public-threshold", type=float, default=0.6, help="the same for the public detectors")
    parser.add_argument("--iou", type=float, default=0.4, help="overlap from which a face counts as found")
    parser.add_argument("--smallest", type=float, default=24.0, help="smallest face of the summary, pixels of the picture")
    parser.add_argument("--longest", type=int, default=640, help="longest side fed to a detector")
    parser.add_argument("--threads", type=int, default=2, help="threads of ONNX Runtime")
    parser.add_argument("--video", type=Path, nargs="+", default=[], help="clips (names in dev/video or paths): frames with a face instead of dev/detect")
    parser.add_argument("--every", type=int, default=1, help="look at every so many frames of a clip")
    parser.add_argument("--groups", type=Path, nargs="?", const=Path(), default=None, metavar="TABLE",
                        help="London faces in cluttered pictures by group instead of dev/detect; TABLE is the set's london_faces_info.csv (default: that beside faces.csv, else no groups)")
    parser.add_argument("--placements", type=int, default=6, help="places for every picture of --groups")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    parser.add_argument("--draw", type=Path, default=None, help="folder for the pictures with our boxes (green), the truth (blue) and ignored boxes (red)")


def catalogue_threshold(models: Path, name: str) -> float:
    """`min-confidence` of a model in models.toml, 0.5 where there is none."""
    import re

    path = models / "models.toml"
    if path.exists():
        for block in path.read_text().split("[[model]]")[1:]:
            if re.search(rf'^name\s*=\s*"{re.escape(name)}"', block, re.M):
                found = re.search(r"^min-confidence\s*=\s*([0-9.]+)", block, re.M)
                if found:
                    return float(found.group(1))
    return 0.5


def draw(detector, items: list[Item], threshold: float, longest: int, folder: Path) -> None:
    """Write every picture, as fed, with boxes and points as PNG."""
    from PIL import Image, ImageDraw

    folder.mkdir(parents=True, exist_ok=True)
    for item in items:
        fed, factor = letterboxed(item.picture, longest)
        result = detector(fed, threshold)
        image = Image.fromarray(fed)
        pen = ImageDraw.Draw(image)
        for boxes, colour in ((item.boxes * factor, "blue"), (item.ignore * factor, "red"), (result.boxes, "lime")):
            for box in boxes:
                pen.rectangle([float(v) for v in box], outline=colour)
        for box, score, points in zip(result.boxes, result.scores, result.points if result.points is not None else []):
            pen.text((float(box[0]), float(box[1]) - 11), f"{score:.2f}", fill="yellow")
            for x, y in points:
                pen.ellipse([float(x) - 1, float(y) - 1, float(x) + 1, float(y) + 1], fill="yellow")
        image.save(folder / (Path(item.name).stem + ".png"))


def run_video(args: argparse.Namespace, root: Path, detectors: list) -> int:
    """`--video`: measure and print the clips; returns the exit status."""
    chosen = [(detector, threshold) for detector, threshold, _ in detectors if not isinstance(detector, UltraFace)]
    report = {}
    for clip in args.video:
        path = clip if clip.exists() else root / "dev" / "video" / clip
        report[clip.name] = measure_video(chosen, path, args.longest, args.iou, args.every)
    if args.json:
        print(json.dumps(report, indent=1))
        return 0
    first = chosen[0][0].name
    for name, result in report.items():
        print(f"{name}: {result['frames']} frames")
        for detector, row in result["detectors"].items():
            line = f"  {detector:20} with a face {row['with-face']} ({row['with-face'] / max(1, result['frames']):.4f}), longest gap {row['longest-gap']}, boxes {row['boxes']}"
            if detector != first:
                line += f", of them found by {first} {row['found-by-first']}; {first} alone {row['first-alone']}"
            print(line)
    return 0


def run_groups(args: argparse.Namespace, root: Path, detectors: list) -> int:
    """`--groups`: measure and print recall by group; returns the exit status."""
    from . import groups

    table = args.groups if args.groups != Path() else root / groups.TABLE
    if args.groups == Path() and not table.exists():
        table = None
    rows = groups.report([(d, threshold) for d, threshold, _ in detectors if not isinstance(d, UltraFace)], root, table, args.placements, args.iou)
    if args.json:
        print(json.dumps(rows, indent=1))
    else:
        groups.tell(rows, table)
    return 0


def run(args: argparse.Namespace) -> int:
    """Measure and print; returns the exit status."""
    from ..catalogue import models_folder
    from ..data import default_data

    root = args.data or default_data()
    folder = root / "dev" / "detect"
    if not args.video and args.groups is None and not (folder / "boxes.json").exists():
        raise FileNotFoundError(f"no boxes.json in {folder}; set SRFUSION_DATA")
    models = models_folder()
    path = args.model or models / "face-detector.onnx"
    threshold = args.threshold if args.threshold is not None else catalogue_threshold(models, "face-detector")
    detectors = [(OurDetector(path, args.threads), threshold, args.longest)]
    public = root / "dev" / "models"
    for name, kind in (("ultraface-rfb-320", UltraFace), ("ultraface-rfb-640", UltraFace), ("yunet-dynamic", YuNet)):
        if (public / f"{name}.onnx").exists():
            detectors.append((kind(public / f"{name}.onnx", args.threads), args.public_threshold, args.longest))
    if args.video:
        return run_video(args, root, detectors)
    if args.groups is not None:
        return run_groups(args, root, detectors)
    items = read_detect(folder)
    report = {"iou": args.iou, "smallest": args.smallest, "longest": args.longest, "detectors": {}}
    for detector, limit, longest in detectors:
        groups = measure(detector, items, limit, args.iou, longest, args.smallest)
        report["detectors"][detector.name] = {"threshold": limit, "milliseconds-320x240": round(milliseconds(detector), 2), **groups}
    if (root / "faces.csv").exists():
        for detector, limit, _ in detectors:
            report["detectors"][detector.name]["portraits"] = measure_portraits(detector, root, limit, args.iou)
    if args.draw:
        draw(detectors[0][0], items, threshold, args.longest, args.draw)
    if args.json:
        print(json.dumps(report, indent=1))
        return 0
    for group in ("annotated", "consensus"):
        first = next(iter(report["detectors"].values()))[group]
        print(f"{group}: {first['pictures']} pictures, {first['faces']} faces of {args.smallest:g} px and more, IoU {args.iou:g}")
        print(f"  {'detector':20} {'score':>5} {'recall':>7} {'false':>5} {'/pict.':>6}  " + " ".join(f"{f'{a}-{b}':>9}" for a, b in CLASSES))
        for name, row in report["detectors"].items():
            g = row[group]
            sizes = " ".join(f"{f'{hit}/{all_}':>9}" for hit, all_ in g["by-size"].values())
            print(f"  {name:20} {row['threshold']:5.2f} {g['recall']:7.3f} {g['false']:5d} {g['false-per-picture']:6.2f}  {sizes}")
    if (root / "faces.csv").exists():
        print(f"portraits of dev/face by height of the face box, IoU {args.iou:g}: found, false, mean IoU, point error in eye distances")
        for name, row in report["detectors"].items():
            for height, result in row["portraits"].items():
                groups = "  ".join(f"{group} {hit}/{all_}" for group, (hit, all_) in sorted(result["groups"].items()))
                numbers = "  ".join("-" if result[key] is None else f"{result[key]:.3f}" for key in ("mean-iou", "point-error"))
                print(f"  {name:20} {height:>4} px  {groups}  {result['false']:3d}  {numbers}")
    print("320x240, ms: " + ", ".join(f"{name} {row['milliseconds-320x240']:.1f}" for name, row in report["detectors"].items()))
    return 0
