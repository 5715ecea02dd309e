#!/usr/bin/env python3
"""Measures what srfusion promises about its speed and prints each promise with its target, the figure found and hit or miss.

    cargo build --release && benches/must_reach.py --data DATA [--only NAME,...] [--json FILE]

Calls `srfusion bench` (alternating rounds, medians, ratios within a run), `gst-launch-1.0` for memory and the first frame, and
`cargo bench` for the work around the networks. Figures found are added to FILE and replace older ones of the same name. Needs a
machine that does nothing else. The comparison with other runtimes is benches/peers.py, whose result is read from FILE too.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOM, STREET, SIGNER = "static-room-one-person.mp4", "static-street.mp4", "static-indoor-signer-1.mkv"
PORTRAIT = "dev/face/bob-gibbs.png"


class Bench:
    """How to run things."""

    def __init__(self, args: argparse.Namespace):
        self.data, self.target, self.scale = args.data, args.target, args.frames_scale
        # A registry of its own, so that the plugin measured is the one built here.
        self.registry = tempfile.NamedTemporaryFile(suffix=".bin")
        self.environment = dict(os.environ, GST_PLUGIN_PATH=str(self.target), GST_REGISTRY_1_0=self.registry.name,
                                SRFUSION_MODELS=os.environ.get("SRFUSION_MODELS", str(ROOT / "models")))
        subprocess.run(["gst-inspect-1.0", "srfusion"], env=self.environment, check=True, stdout=subprocess.DEVNULL)

    def srfusion(self, *words: object, frames: int, rounds: int = 9) -> dict:
        """`srfusion bench` with these words; its rows by name are under "row"."""
        frames = max(2, round(frames * self.scale))
        command = [self.target / "srfusion", "bench", *words, "--frames", frames, "--rounds", rounds, "--json", "--no-peak"]
        result = subprocess.run([str(word) for word in command], env=self.environment, capture_output=True, text=True)
        if result.returncode:
            raise RuntimeError(result.stderr.strip())
        report = json.loads(result.stdout)
        report["row"] = {row["name"]: row for row in report["rows"]}
        return report

    def clip(self, name: str) -> Path:
        return self.data / "dev/video" / name

    def pipeline(self, size: tuple[int, int], frames: int, watch: Callable[[int], None] | None = None) -> tuple[float, int]:
        """Seconds and most resident bytes of a gst-launch-1.0 process that upscales `frames` of a moving test picture."""
        caps = f"video/x-raw,format=RGB,width={size[0]},height={size[1]},framerate=25/1"
        command = ["gst-launch-1.0", "-q", "videotestsrc", "pattern=ball", f"num-buffers={frames}", "!", caps, "!",
                   "srfusion", "!", "fakesink"]
        start = time.perf_counter()
        process = subprocess.Popen(command, env=self.environment)
        if watch:
            while process.poll() is None:
                watch(process.pid)
                time.sleep(0.25)
            return time.perf_counter() - start, 0
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
        return time.perf_counter() - start, usage.ru_maxrss * 1024


def row(name: str, what: str, target: str, found: str, hit: bool, **details: object) -> dict:
    return {"name": name, "what": what, "target": target, "found": found, "hit": bool(hit), **details}


def element(bench: Bench) -> list[dict]:
    report = bench.srfusion(bench.clip(ROOM), "--rows", "element,bare", "--face-model", "none", "--reuse", "none", frames=4)
    ratio = report["row"]["element"]["to_bare"]
    return [row("element", "element with reuse=none, no faces, against a bare ONNX Runtime loop over the same frames", "0.95",
                f"{ratio:.3f}", ratio >= 0.95, report=report)]


def face_words(bench: Bench) -> list[object]:
    return ["--synthetic", "faces", "--portrait", bench.data / PORTRAIT, "--face-height", 64, "--size", "640x360",
            "--reuse", "none"]


def fused(bench: Bench) -> list[dict]:
    report = bench.srfusion(*face_words(bench), "--rows", "general,engine", frames=4)
    ratio = report["row"]["engine"]["to_first"]
    found = f"{ratio:.3f}"
    if report["row"]["engine"]["engine"]["frames_with_faces"] < 1.0:
        found += " (the face was not found in every frame)"
    return [row("fused", "fused with one 64 px face in 640x360, against general alone, detector included", "0.85", found,
                ratio >= 0.85, report=report)]


def regions(bench: Bench) -> list[dict]:
    report = bench.srfusion(*face_words(bench), "--rows", "whole,engine", frames=3)
    # The reference is drawn in 16 bits, which networks in eight bits do not draw: their rounding is not what is asked about here.
    check = bench.srfusion(*face_words(bench), "--rows", "engine", "--precision", "fp32", "--check", frames=3, rounds=1)
    report["check"] = check
    ratio, apart = report["row"]["engine"]["to_first"], check["row"]["engine"]["quality"]["largest_difference"]
    return [row("regions", "fused by regions against both networks on whole frames (bare: no detector, conversion or fusion)",
                "1.7 times, samples within 1 of 255", f"{ratio:.2f} times, {apart} of 255", ratio >= 1.7 and apart <= 1,
                report=report)]


def reuse(bench: Bench, name: str, clip: str, mode: str, times: float, quality: float | None, frames: int) -> dict:
    report = bench.srfusion(bench.clip(clip), "--rows", f"none,{mode}", "--check", frames=frames, rounds=2)
    found = report["row"][mode]
    ratio, psnr, apart = found["to_first"], found["quality"]["psnr"], found["quality"]["largest_difference"]
    psnr = float("inf") if psnr is None else psnr
    hit, text, wanted = ratio >= times, f"{ratio:.2f} times", f"{times:g} times"
    if quality is None:
        hit, text, wanted = hit and apart <= 1, f"{text}, {apart} of 255", f"{wanted}, samples within 1 of 255"
    else:
        hit, text, wanted = hit and psnr >= quality, f"{text}, {psnr:.1f} dB", f"{wanted}, {quality:g} dB"
    return row(name, f"reuse={mode} on {Path(clip).stem}, against none", wanted, text, hit, report=report)


def exact(bench: Bench) -> list[dict]:
    return [reuse(bench, "exact", ROOM, "exact", 1.3, None, 32)]


def tolerant_room(bench: Bench) -> list[dict]:
    return [reuse(bench, "tolerant-room", ROOM, "tolerant", 3.0, 44.0, 48)]


def tolerant_street(bench: Bench) -> list[dict]:
    return [reuse(bench, "tolerant-street", STREET, "tolerant", 2.5, 44.0, 48)]


def tolerant_signer(bench: Bench) -> list[dict]:
    return [reuse(bench, "tolerant-signer", SIGNER, "tolerant", 1.5, 44.0, 32)]


def still(bench: Bench) -> list[dict]:
    report = bench.srfusion("--synthetic", "static", "--size", "640x360", "--rows", "none,exact", frames=100, rounds=1)
    ratio = report["row"]["exact"]["to_first"]
    return [row("still", "a still picture as a video of 100 frames, reuse=exact against none", "20 times", f"{ratio:.1f} times",
                ratio >= 20.0, report=report)]


def memory(bench: Bench) -> list[dict]:
    rows = []
    for size in ((320, 180), (640, 360), (1280, 720), (1920, 1080)):
        output = 16 * 3 * size[0] * size[1]
        limit = 250e6 + 6 * output
        _, peak = bench.pipeline(size, 6)
        rows.append(row(f"memory-{size[0]}x{size[1]}", f"resident memory of gst-launch-1.0 at {size[0]}x{size[1]}, default models",
                        f"{limit / 1e6:.0f} MB (250 MB and 6 output frames)", f"{peak / 1e6:.0f} MB", peak < limit, bytes=peak))
    return rows


def flat(bench: Bench) -> list[dict]:
    seen: list[int] = []

    def watch(pid: int) -> None:
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            return
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        if found:
            seen.append(int(found[1]) * 1024)

    seconds, _ = bench.pipeline((64, 48), 10_000, watch)
    # The first tenth is start and warm-up; the last sample may be of a process that ends.
    early, late = seen[max(1, len(seen) // 10)], seen[-2]
    growth = (late - early) / 1e6
    return [row("flat", "growth of resident memory over 10,000 frames of 64x48, after the first tenth", "flat (below 4 MB)",
                f"{growth:+.1f} MB at {late / 1e6:.0f} MB", growth < 4.0, samples=seen[:: max(1, len(seen) // 50)],
                seconds=seconds)]


def first(bench: Bench) -> list[dict]:
    times = sorted(bench.pipeline((640, 360), 1)[0] for _ in range(5))
    return [row("first", "one frame of 640x360 through gst-launch-1.0, from the start of the process to its end, default models",
                "0.7 s", f"{times[2]:.2f} s", times[2] <= 0.7, all=times)]


def around(bench: Bench) -> list[dict]:
    environment = dict(bench.environment, CARGO_TARGET_DIR=str(bench.target.parent))
    text = subprocess.run(["cargo", "bench", "--locked", "--bench", "engine"], cwd=ROOT, env=environment, check=True,
                          capture_output=True, text=True).stdout
    rate = float(re.search(r"^RGB: every cell new: .* ([\d.]+) frames per second", text, re.M)[1])
    return [row("around", "conversion, comparison and fusion together at 640x360, one core, no network",
                "100 frames per second", f"{rate:.0f} frames per second", rate >= 100.0, text=text)]


def peers(path: Path) -> list[dict]:
    """The row of benches/peers.py, if its result lies beside ``path``."""
    file = path.with_name("peers.json")
    if not file.exists():
        return []
    report = json.loads(file.read_text())
    rates = {entry["name"]: entry["frames_per_second"] for entry in report["rows"]}
    mine = rates["element, tolerant"]
    others = {name: rate for name, rate in rates.items() if name.startswith(("ncnn", "openvino"))}
    text = ", ".join(f"{name} {rate:.2f}" for name, rate in rates.items()) + " frames per second"
    return [row("peers", f"{report['model']} on {Path(report['clip']).stem}: element (tolerant, no face) against whole frames",
                "faster than ncnn and OpenVINO", text, all(mine > rate for rate in others.values()), report=report)]


PROMISES = {function.__name__.replace("_", "-"): function for function in (
    element, fused, regions, exact, tolerant_room, tolerant_street, tolerant_signer, still, memory, first, around, flat)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SRFUSION_DATA", ROOT.parent / "shared/data")),
                        help="folder with dev/ (default: SRFUSION_DATA)")
    parser.add_argument("--target", type=Path, default=Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release",
                        help="folder of the built command and plugin")
    parser.add_argument("--only", help=f"names of what to measure, by commas: {', '.join(PROMISES)}; 'none' prints FILE alone")
    parser.add_argument("--frames-scale", type=float, default=1.0, help="more or fewer frames than usual")
    parser.add_argument("--json", type=Path, help="file to which results are added")
    args = parser.parse_args()
    names = args.only.split(",") if args.only else list(PROMISES)
    if unknown := [name for name in names if name not in PROMISES and name != "none"]:
        parser.error(f"unknown: {', '.join(unknown)}")
    rows = json.loads(args.json.read_text()) if args.json and args.json.exists() else []
    bench = Bench(args) if names != ["none"] else None
    for name in names:
        found = PROMISES[name](bench) if bench else []
        for new in found:
            print(f"{new['name']}: {new['found']} ({new['target']})", file=sys.stderr)
        fresh = {new["name"] for new in found}
        rows = [old for old in rows if old["name"] not in fresh] + found
        if args.json:
            args.json.write_text(json.dumps(rows, indent=1) + "\n")
    order = [name for name in PROMISES]
    rows.sort(key=lambda row: next((i for i, name in enumerate(order) if row["name"].startswith(name)), len(order)))
    print("| what | target | found | |\n|---|---|---|---|")
    for entry in rows + (peers(args.json) if args.json else []):
        print(f"| {entry['what']} | {entry['target']} | {entry['found']} | {'hit' if entry['hit'] else '**miss**'} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
