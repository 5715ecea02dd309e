#!/usr/bin/env python3
"""Mean colour of clips before and after `decodebin ! srfusion ! x264enc ! mp4mux`, in codes of their own samples: nothing may shift.

Usage: benches/colour.py PLUGIN_FOLDER CLIP... [--frames 8] [--set "NAME=VALUE ..."]     (a release build; ffmpeg)

Prints, for each clip, how far the mean of each component over the first frames is from that of the decoded input, and ends with status 1 where one
is more than half a level away. The clip and what became of it are decoded by ffmpeg, to the samples that they hold.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ALLOWED = 0.5
# Planes of a frame: how many, and by what their width and height are divided.
LAYOUTS = {"yuv420p": (2, 2), "yuvj420p": (2, 2), "yuv422p": (2, 1), "yuvj422p": (2, 1), "yuv444p": (1, 1), "yuvj444p": (1, 1)}


def facts(file: Path) -> tuple[int, int, str]:
    """Width, height and sample format of the first video stream."""
    words = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "stream=width,height,pix_fmt", "-of", "csv=p=0", str(file)]
    width, height, name = subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip().strip(",").split(",")[:3]
    if name not in LAYOUTS:
        sys.exit(f"{file}: expected video of {', '.join(LAYOUTS)}, found {name}")
    return int(width), int(height), name


def means(file: Path, frames: int) -> tuple[list[float], int]:
    """Mean of each component over the first frames, and how many there are."""
    width, height, name = facts(file)
    across, down = LAYOUTS[name]
    words = ["ffmpeg", "-v", "error", "-noautorotate", "-i", str(file), "-map", "0:v:0", "-vsync", "passthrough", "-frames:v", str(frames), "-f", "rawvideo",
             "-pix_fmt", name, "-"]
    data = subprocess.run(words, check=True, capture_output=True).stdout
    sizes = [width * height] + 2 * [-(-width // across) * -(-height // down)]
    found, count = [0, 0, 0], len(data) // sum(sizes)
    for frame in range(count):
        start = frame * sum(sizes)
        for plane, size in enumerate(sizes):
            found[plane] += sum(data[start:start + size])
            start += size
    return [total / size / max(1, count) for total, size in zip(found, sizes)], count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plugin", help="folder with the plugin of a release build")
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--set", default="", help="properties of the element")
    args = parser.parse_args()
    os.environ["GST_PLUGIN_PATH"] = args.plugin
    os.environ.setdefault("SRFUSION_MODELS", str(Path(__file__).resolve().parent.parent / "models"))
    worst = 0.0
    for clip in args.clips:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "out.mp4"
            line = (f"filesrc location={clip} ! decodebin ! identity eos-after={args.frames + 1} ! srfusion {args.set} ! "
                    f"x264enc pass=qual quantizer=18 speed-preset=ultrafast bframes=0 ! h264parse ! mp4mux ! filesink location={out}")
            subprocess.run(["gst-launch-1.0", "-q", *line.split()], check=True)
            before, taken = means(clip, args.frames)
            after, drawn = means(out, args.frames)
        if taken != drawn:
            sys.exit(f"{clip}: expected {taken} frames, found {drawn}")
        apart = [b - a for a, b in zip(before, after)]
        worst = max(worst, *map(abs, apart))
        print(f"{clip.name}: {drawn} frames, " + ", ".join(f"{name} {value:+.2f}" for name, value in zip("YUV", apart)), flush=True)
    print(f"at most {worst:.2f} of 255 apart, {ALLOWED} allowed")
    sys.exit(worst > ALLOWED)


if __name__ == "__main__":
    main()
