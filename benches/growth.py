#!/usr/bin/env python3
"""How the cost of a frame grows: with its size, with number and height of faces, with the share of its area that moves.

    benches/growth.py measure --data DATA [--only NAME,...] --json FILE     # `srfusion bench`, a release build
    benches/growth.py plot --json FILE --output FOLDER                      # needs matplotlib; one SVG for each measurement
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PORTRAIT = "dev/face/bob-gibbs.png"
SIZES = ((160, 90), (320, 180), (480, 270), (640, 360), (960, 540), (1280, 720))
FACES = (0, 1, 2, 4, 8)
HEIGHTS = (24, 32, 48, 64, 96, 128)
SHARES = (0.0, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0)


def bench(args: argparse.Namespace, *words: object, frames: int, rounds: int = 2) -> dict:
    command = [args.target / "srfusion", "bench", *words, "--frames", frames, "--rounds", rounds, "--json", "--no-peak"]
    environment = dict(os.environ)
    environment.setdefault("SRFUSION_MODELS", str(ROOT / "models"))
    result = subprocess.run([str(word) for word in command], env=environment, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(result.stderr.strip())
    return json.loads(result.stdout)


def faces(args: argparse.Namespace, count: int, height: int) -> list[object]:
    if count == 0:
        return ["--synthetic", "static", "--size", "640x360", "--reuse", "none"]
    return ["--synthetic", "faces", "--portrait", args.data / PORTRAIT, "--faces", count, "--face-height", height,
            "--size", "640x360", "--reuse", "none"]


def measure_size(args: argparse.Namespace) -> list[dict]:
    points = []
    for width, height in SIZES:
        few = max(2, min(8, 640 * 360 * 6 // (width * height)))
        words = ["--synthetic", "noise", "--size", f"{width}x{height}", "--rows", "engine,bare", "--face-model", "none",
                 "--reuse", "none"]
        points.append({"pixels": width * height, "size": f"{width}x{height}", "report": bench(args, *words, frames=few)})
    return points


def measure_faces(args: argparse.Namespace) -> list[dict]:
    return [{"faces": count, "report": bench(args, *faces(args, count, 64), "--rows", "general,engine", frames=6)}
            for count in FACES]


def measure_height(args: argparse.Namespace) -> list[dict]:
    return [{"height": height, "report": bench(args, *faces(args, 1, height), "--rows", "general,engine", frames=6)}
            for height in HEIGHTS]


def measure_moving(args: argparse.Namespace) -> list[dict]:
    return [{"share": share, "report": bench(args, "--synthetic", "moving", "--share", share, "--size", "640x360", "--rows",
                                             "none,exact,tolerant", "--face-model", "none", frames=12, rounds=1)}
            for share in SHARES]


MEASUREMENTS = {"size": measure_size, "faces": measure_faces, "height": measure_height, "moving": measure_moving}


def measure(args: argparse.Namespace) -> None:
    results = json.loads(args.json.read_text()) if args.json.exists() else {}
    for name in args.only.split(",") if args.only else MEASUREMENTS:
        results[name] = MEASUREMENTS[name](args)
        args.json.write_text(json.dumps(results, indent=1) + "\n")


def ms(point: dict, name: str) -> float:
    row = next(row for row in point["report"]["rows"] if row["name"] == name)
    return 1e3 / row["frames_per_second"]


def stage(point: dict, name: str, key: str) -> float:
    return next(row for row in point["report"]["rows"] if row["name"] == name)["engine"][key]


def plot(args: argparse.Namespace) -> None:
    import matplotlib

    matplotlib.use("svg")
    # The same file from the same numbers.
    matplotlib.rcParams.update({"svg.hashsalt": "srfusion", "svg.fonttype": "none", "font.size": 9, "axes.grid": True, "grid.alpha": 0.3})
    from matplotlib import pyplot

    results = json.loads(args.json.read_text())
    args.output.mkdir(parents=True, exist_ok=True)

    def figure(name: str, title: str, x: str, draw) -> None:
        if name not in results:
            return
        figure, axes = pyplot.subplots(figsize=(5.2, 3.2), layout="constrained")
        draw(axes, results[name])
        axes.set(title=title, xlabel=x, ylabel="ms a frame", xlim=(0, None), ylim=(0, None))
        axes.legend(frameon=False)
        figure.savefig(args.output / f"{name}.svg", metadata={"Date": None})
        pyplot.close(figure)

    def size(axes, points) -> None:
        pixels = [point["pixels"] / 1e3 for point in points]
        axes.plot(pixels, [ms(point, "engine") for point in points], "o-", label="engine, reuse=none")
        axes.plot(pixels, [ms(point, "bare") for point in points], "x--", label="bare ONNX Runtime loop")

    def both(key):
        def draw(axes, points) -> None:
            values = [point[key] for point in points]
            axes.plot(values, [ms(point, "engine") for point in points], "o-", label="fused, detector included")
            axes.plot(values, [ms(point, "general") for point in points], "x--", label="general alone")
            axes.plot(values, [stage(point, "engine", "face_ms") for point in points], "s:", label="of it face generator")
            axes.plot(values, [stage(point, "engine", "detect_ms") for point in points], "^:", label="of it detector")
        return draw

    def moving(axes, points) -> None:
        shares = [point["share"] * 100 for point in points]
        for name, style in (("none", "x--"), ("exact", "o-"), ("tolerant", "s-")):
            axes.plot(shares, [ms(point, name) for point in points], style, label=f"reuse={name}")

    figure("size", "Frame size", "input pixels in thousands", size)
    figure("faces", "Faces of 64 px in 640x360", "number of faces", both("faces"))
    figure("height", "One face in 640x360", "height of the face in input pixels", both("height"))
    figure("moving", "Moving area of 640x360, 12 frames with the first", "per cent of the area that moves", moving)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("measure", help="run `srfusion bench`")
    command.add_argument("--data", type=Path, default=Path(os.environ.get("SRFUSION_DATA", ROOT.parent / "shared/data")))
    command.add_argument("--target", type=Path,
                         default=Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release")
    command.add_argument("--only", help=f"by commas: {', '.join(MEASUREMENTS)}")
    command.add_argument("--json", type=Path, required=True)
    command.set_defaults(run=measure)
    command = commands.add_parser("plot", help="draw the results")
    command.add_argument("--json", type=Path, required=True)
    command.add_argument("--output", type=Path, required=True)
    command.set_defaults(run=plot)
    args = parser.parse_args()
    args.run(args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
