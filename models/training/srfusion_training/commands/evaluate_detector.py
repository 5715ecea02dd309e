"""``evaluate-detector``: recall and false boxes on the development pictures."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ..catalogue import models_folder
from ..data.folders import default_data
from ..detect.detectors import OurDetector, UltraFace, YuNet, catalogue_longest, catalogue_threshold
from ..detect.evaluate import (
    CLASSES,
    draw,
    measure,
    measure_portraits,
    measure_video,
    milliseconds,
    read_detect,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `evaluate-detector`."""
    parser.add_argument("--data", type=Path, default=None, help="folder with dev/ (default: SRFUSION_DATA or ../shared/data)")
    parser.add_argument("--model", type=Path, default=None, help="our ONNX file (default: models/face-detector.onnx)")
    parser.add_argument("--threshold", type=float, default=None, help="score from which a face counts (default: min-confidence in models.toml, else 0.5)")
    parser.add_argument("--public-threshold", type=float, default=0.6, help="the same for the public detectors")
    parser.add_argument("--iou", type=float, default=0.4, help="overlap from which a face counts as found")
    parser.add_argument("--smallest", type=float, default=24.0, help="smallest face of the summary, pixels of the picture")
    parser.add_argument("--longest", type=int, default=None, help="longest side fed to a detector (default: input-size in models.toml, else 640)")
    parser.add_argument("--threads", type=int, default=2, help="threads of ONNX Runtime")
    parser.add_argument("--video", type=Path, nargs="+", default=[], help="clips (names in dev/video or paths): frames with a face instead of dev/detect")
    parser.add_argument("--every", type=int, default=1, help="look at every so many frames of a clip")
    parser.add_argument("--groups", type=Path, nargs="?", const=Path(), default=None, metavar="TABLE",
                        help="London faces in cluttered pictures by group instead of dev/detect; TABLE is the set's london_faces_info.csv (default: that beside faces.csv, else no groups)")
    parser.add_argument("--placements", type=int, default=6, help="places for every picture of --groups")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    parser.add_argument("--draw", type=Path, default=None, help="folder for the pictures with our boxes (green), the truth (blue) and ignored boxes (red)")


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
    from ..detect import groups  # needs OpenCV, the rest does not

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
    root = args.data or default_data()
    folder = root / "dev" / "detect"
    if not args.video and args.groups is None and not (folder / "boxes.json").exists():
        raise FileNotFoundError(f"no boxes.json in {folder}; set SRFUSION_DATA")
    models = models_folder()
    path = args.model or models / "face-detector.onnx"
    threshold = args.threshold if args.threshold is not None else catalogue_threshold(models, "face-detector")
    args.longest = args.longest or catalogue_longest(models, "face-detector")
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
        found = measure(detector, items, limit, args.iou, longest, args.smallest)
        report["detectors"][detector.name] = {"threshold": limit, "milliseconds-320x240": round(milliseconds(detector), 2), **found}
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
