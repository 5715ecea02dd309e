#!/usr/bin/env python3
"""Text in motion with and without its own network: a street with signs that come and go, a screen that scrolls, a plate that drives past.

Usage: benches/text.py PROGRAM_FOLDER CLIP.mp4 [--seconds 2] [--keep FOLDER]     (a release build; ffmpeg with drawtext)

Makes three clips of 1280x720 with ffmpeg, the first over CLIP, and has `srfusion eval` shrink, enlarge and judge each with `objects=none` and with
`objects=text`: PSNR of luma, and the error between neighbouring frames moved onto each other (E*warp), whose ratio may be 1.05. With --keep the true
clips and what both drew of them stay in FOLDER, to be looked at.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ALLOWED = 1.05
SIZE = "1280x720"
LINES = ["Invoice 2291-0847 of 14 March", "Total amount due: 1,948.50 EUR", "Transfer to: KX 77 0041 9923 16", "Opening hours: 8:30 to 17:45",
         "Platform 12 departs 06:58", "Room 304, second floor, left", "void draw(const Rect &area) {", "for (i = 0; i < 640; ++i) {",
         "Temperature 21.5 C, wind 7 km/h", "Please keep this door closed", "Exit to the main station", "Delivery between 10 and 12"]


def text(words: str, size: int, x: str, y: str, colour: str, box: str) -> str:
    """A filter that draws words with a board behind them; x and y are expressions of the time t."""
    escaped = words.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,").replace("'", "").replace("%", "\\%")
    return (f"drawtext=font=DejaVu Sans:text='{escaped}':fontsize={size}:x='{x}':y='{y}':fontcolor={colour}:box=1:boxcolor={box}:boxborderw=12")


def clips(clip: Path, seconds: float) -> dict[str, list[str]]:
    """The inputs and filters of ffmpeg that make each clip."""
    fit = "scale=1280:720:force_original_aspect_ratio=increase,crop=1280:720,fps=25"
    signs = [text("PARKING 24 h", 56, "1300-520*t", "120", "white", "0x1a3f8f"), text("Bakery Lindner", 48, "90+6*t", "560-4*t", "0x222222", "0xf0e0c0"),
             text("EXIT 31", 60, "60*t-200", "330", "white", "0x106030")]
    lines = [text(line, 40, "60+620*(%d)" % (i % 2), f"720+70*{i // 2}-220*t", "0x202020", "white@0") for i, line in enumerate(LINES + LINES)]
    plate = [text("KX 4927 B", 64, "900-260*t", "420+10*sin(6*t)", "0x101010", "0xf4f4f0")]
    noise = "noise=alls=6:allf=t"
    source = ["-stream_loop", "-1", "-i", str(clip)]
    return {
        "street": [*source, "-vf", ",".join([fit, *signs])],
        "screen": ["-f", "lavfi", "-i", f"color=0xfafafa:s={SIZE}:r=25", "-vf", ",".join(lines)],
        "plate": ["-f", "lavfi", "-i", f"gradients=s={SIZE}:r=25:c0=0x30343a:c1=0x565b60:speed=0.001:seed=1", "-vf", ",".join([*plate, noise])],
    }


def judge(program: Path, clip: Path, objects: str) -> dict:
    words = [program, "eval", clip, "--objects", objects, "--json", "-q", "--samples", "2", "--deterministic", "true"]
    result = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"srfusion eval ended with {result.returncode}: {result.stderr.strip()}")
    return json.loads(result.stdout)["summary"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path, help="folder with the command of a release build")
    parser.add_argument("clip", type=Path, help="what is behind the signs")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--keep", type=Path, help="a folder for the clips")
    args = parser.parse_args()
    os.environ.setdefault("SRFUSION_MODELS", str(Path(__file__).resolve().parent.parent / "models"))
    program = args.program / "srfusion"
    worst = 0.0
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for name, words in clips(args.clip, args.seconds).items():
            truth = folder / f"{name}.mp4"
            subprocess.run(["ffmpeg", "-v", "error", "-y", *words, "-t", str(args.seconds), "-an", "-c:v", "libx264", "-preset", "veryfast", "-crf", "10",
                            "-pix_fmt", "yuv420p", str(truth)], check=True)
            none, own = judge(program, truth, "none"), judge(program, truth, "text")
            ratio = own["warping_error"] / none["warping_error"]
            worst = max(worst, ratio)
            print(f"{name}: PSNR {none['psnr']:.2f} dB, with text's network {own['psnr']:.2f}; E*warp {none['warping_error']:.5f} and {own['warping_error']:.5f}, "
                  f"ratio {ratio:.3f}", flush=True)
            if args.keep:
                low = folder / f"{name}-low.mp4"
                subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", str(truth), "-vf", "scale=320:180:flags=bicubic", "-c:v", "libx264", "-crf", "4", "-pix_fmt",
                                "yuv420p", str(low)], check=True)
                for objects in ("none", "text"):
                    subprocess.run([str(program), "upscale", str(low), str(folder / f"{name}-{objects}.mp4"), "--objects", objects, "-q"], check=True)
    print(f"largest ratio {worst:.3f}, {ALLOWED} allowed")
    sys.exit(worst > ALLOWED)


if __name__ == "__main__":
    main()
