#!/usr/bin/env python3
"""Measures two builds of srfusion against each other, row by row, in turns, and prints the ratio of each row.

    benches/before_after.py --before TREE=TARGET --after TREE=TARGET --data DATA [--models FOLDER] [--turns 3] [--only NAME,...] [--json FILE]

TREE is a checkout (its models are used, or those of FOLDER in both), TARGET the folder with its release build, plugin, command and `cargo bench --no-run` included.
A turn runs a row with both builds, the next turn in the other order. Two ratios are printed: the median of those within a turn, with the lowest and the highest, and
that of the best figures of all turns. Other guests of a host only ever take time, so the second settles as turns are added where the first goes on swinging.
The rows are those of benches/must_reach.py, and the delay of one frame through the element. Both builds use
floats of 32 bits, so that a build that knows files of eight bits is not compared with one that does not. A ratio above 1 is in favour of the build after.
Needs a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

ROOM, STREET, SIGNER = "static-room-one-person.mp4", "static-street.mp4", "static-indoor-signer-1.mkv"
PORTRAIT = "dev/face/bob-gibbs.png"
PRECISION = "fp32"


@dataclass
class Build:
    """A build and the data that it is run on."""

    tree: Path
    target: Path
    data: Path
    models: Path
    registry: tempfile._TemporaryFileWrapper = field(default_factory=lambda: tempfile.NamedTemporaryFile(suffix=".bin"))

    @property
    def environment(self) -> dict[str, str]:
        return dict(os.environ, GST_PLUGIN_PATH=str(self.target), GST_REGISTRY_1_0=self.registry.name, SRFUSION_MODELS=str(self.models))

    def bench(self, *words: object, frames: int, rounds: int) -> float:
        """Frames a second of the only row that `srfusion bench` is asked for."""
        command = [self.target / "srfusion", "bench", *words, "--precision", PRECISION, "--frames", frames, "--rounds", rounds, "--json", "--no-peak"]
        result = subprocess.run([str(word) for word in command], env=self.environment, capture_output=True, text=True)
        if result.returncode:
            raise RuntimeError(result.stderr.strip())
        (row,) = json.loads(result.stdout)["rows"]
        return row["frames_per_second"]

    def clip(self, name: str) -> Path:
        return self.data / "dev/video" / name

    def launch(self, size: str, frames: int, words: str = "", live: bool = False, tracers: str = "") -> tuple[str, float, int]:
        """What a gst-launch-1.0 process printed that upscales `frames` of a moving picture, its seconds, and its most resident bytes."""
        width, height = size.split("x")
        caps = f"video/x-raw,format=RGB,width={width},height={height},framerate=25/1"
        line = (f"videotestsrc pattern=ball num-buffers={frames} is-live={str(live).lower()} ! {caps} ! "
                f"srfusion precision={PRECISION} {words} ! fakesink sync=false")
        environment = dict(self.environment, GST_TRACERS=tracers, GST_DEBUG="GST_TRACER:7" if tracers else "", GST_DEBUG_NO_COLOR="1")
        with tempfile.TemporaryFile("w+") as output:
            start = os.times().elapsed
            process = subprocess.Popen(["gst-launch-1.0", "-q", *line.split()], env=environment, stdout=output, stderr=subprocess.STDOUT)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            seconds = os.times().elapsed - start
            output.seek(0)
            text = output.read()
        if process.returncode:
            raise RuntimeError(f"gst-launch-1.0 {line} ended with {process.returncode}: {text[-2000:]}")
        return text, seconds, usage.ru_maxrss * 1024

    def around(self, case: str) -> float:
        """Frames a second of the first case of that name in `cargo bench --bench engine`: packed red, green and blue."""
        programs = [file for file in (self.target / "deps").glob("engine-*") if os.access(file, os.X_OK)]
        if not programs:
            raise RuntimeError(f"expected `cargo bench --bench engine --no-run` to have been run into {self.target}")
        newest = max(programs, key=lambda file: file.stat().st_mtime)
        # Without the cases of other formats, whose frames take a gigabyte; older programs have none, and take no part of a name.
        text = subprocess.run([newest, "RGB"], cwd=self.tree, env=self.environment, check=True, capture_output=True, text=True).stdout
        return float(re.search(rf"^(?:frame, |RGB: ){case}: .* ([\d.]+) frames per second", text, re.M)[1])

    def delay(self, depth: int) -> float:
        """Frames a second that the median delay of a frame through the element stands for, at a pace that it keeps up with."""
        text, _, _ = self.launch("160x90", 150, f"reuse=none frames-in-flight={depth}", live=True, tracers="latency(flags=element)")
        times = [int(time) for time in re.findall(r"element-latency.*?element=\(string\)srfusion0.*?time=\(guint64\)(\d+)", text)]
        if len(times) < 100:
            raise RuntimeError(f"expected the delays of 150 frames, found {len(times)}")
        return 1e9 / statistics.median(times[10:])


FACE = ("--synthetic", "faces", "--face-height", 64, "--size", "640x360", "--reuse", "none")
FACELESS = ("--face-model", "none", "--reuse", "none")


def clip(name: str, *words: object, frames: int, rounds: int = 1) -> Callable[[Build], float]:
    return lambda build: build.bench(build.clip(name), *words, frames=frames, rounds=rounds)


def face(row: str) -> Callable[[Build], float]:
    return lambda build: build.bench(*FACE, "--portrait", build.data / PORTRAIT, "--rows", row, frames=6, rounds=2)


def memory(size: str) -> Callable[[Build], float]:
    return lambda build: 1 / build.launch(size, 6)[2]


ROWS: dict[str, tuple[str, Callable[[Build], float]]] = {
    "bare": ("bare loop of ONNX Runtime, the same in both", clip(ROOM, *FACELESS, "--rows", "bare", frames=6, rounds=2)),
    "element": ("element, reuse=none, no faces", clip(ROOM, *FACELESS, "--rows", "element", frames=6, rounds=2)),
    "engine": ("engine, reuse=none, no faces", clip(ROOM, *FACELESS, "--rows", "engine", frames=6, rounds=2)),
    "fused": ("one face of 64 px in 640x360", face("engine")),
    "general": ("the same, general alone", face("general")),
    "room-exact": ("static-room-one-person, reuse=exact", clip(ROOM, "--rows", "exact", frames=32)),
    "room-tolerant": ("static-room-one-person, reuse=tolerant", clip(ROOM, "--rows", "tolerant", frames=96)),
    "street-tolerant": ("static-street, reuse=tolerant", clip(STREET, "--rows", "tolerant", frames=32)),
    "signer-tolerant": ("static-indoor-signer-1, reuse=tolerant", clip(SIGNER, "--rows", "tolerant", frames=24)),
    "still": ("still picture of 640x360, reuse=exact", lambda build: build.bench(
        "--synthetic", "static", "--size", "640x360", "--rows", "exact", frames=200, rounds=1)),
    "around": ("around the networks, 640x360, one core, every cell new", lambda build: build.around("every cell new")),
    "around-faces": ("the same with four faces", lambda build: build.around("every cell new, four faces")),
    "around-nothing": ("the same, nothing new", lambda build: build.around("nothing new")),
    "delay-1": ("delay of one frame, 160x90 live, one in flight", lambda build: build.delay(1)),
    "delay-2": ("delay of one frame, 160x90 live, two in flight", lambda build: build.delay(2)),
    "first": ("first frame of 640x360, start included", lambda build: 1 / build.launch("640x360", 1)[1]),
    "memory-320x180": ("most resident memory, 320x180", memory("320x180")),
    "memory-640x360": ("most resident memory, 640x360", memory("640x360")),
    "memory-1280x720": ("most resident memory, 1280x720", memory("1280x720")),
    "memory-1920x1080": ("most resident memory, 1920x1080", memory("1920x1080")),
}


def build(text: str) -> tuple[Path, Path]:
    tree, _, target = text.partition("=")
    if not (Path(target) / "srfusion").is_file():
        raise argparse.ArgumentTypeError(f"expected TREE=TARGET with the command in TARGET, found {text}")
    return Path(tree).resolve(), Path(target).resolve()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--before", type=build, required=True, help="TREE=TARGET of the older build")
    parser.add_argument("--after", type=build, required=True, help="TREE=TARGET of the newer build")
    parser.add_argument("--data", type=Path, required=True, help="folder with dev/")
    parser.add_argument("--models", type=Path, help="models for both builds; otherwise each has those of its tree")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--only", help=f"names of what to measure, by commas: {', '.join(ROWS)}")
    parser.add_argument("--json", type=Path, help="file to which results are added")
    args = parser.parse_args()
    names = args.only.split(",") if args.only else list(ROWS)
    unknown = [name for name in names if name not in ROWS]
    if unknown:
        parser.error(f"expected names out of {', '.join(ROWS)}, found {', '.join(unknown)}")
    before, after = (Build(tree, target, args.data, args.models.resolve() if args.models else tree / "models") for tree, target in (args.before, args.after))
    results = json.loads(args.json.read_text()) if args.json and args.json.exists() else {}
    for name in names:
        what, measure = ROWS[name]
        found: dict[str, list[float]] = {"before": [], "after": []}
        for turn in range(args.turns):
            order = [("before", before), ("after", after)]
            for which, one in order if turn % 2 == 0 else order[::-1]:
                found[which].append(measure(one))
        ratios = sorted(new / old for old, new in zip(found["before"], found["after"], strict=True))
        best = max(found["after"]) / max(found["before"])
        results[name] = {"what": what, "ratio": statistics.median(ratios), "best": best, "ratios": ratios, **found}
        print(f"| {what} | {statistics.median(ratios):.2f} | {ratios[0]:.2f} to {ratios[-1]:.2f} | {best:.3f} |", flush=True)
        if args.json:
            args.json.write_text(json.dumps(results, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
