#!/usr/bin/env python3
"""What native formats are worth, as ratios in alternating runs of gst-launch-1.0: video as it comes against the same through converters to RGB
and back, the element against a bare loop over ONNX Runtime, a still picture against none kept, and the memory of 1920x1080. Times are those between a short and a long run, so that opening
models does not count; for the still picture they are of the whole process.

Usage: benches/formats.py PLUGIN_FOLDER [--rounds N] [--old-general FILE.onnx]     (a release build; an idle machine)

FILE is a network of colours of an older release, for the last of the ratios of chains: what ships, in eight bits, against that in floats with the converters that
it needed. The second version of general-x4 is in the repository's history: git show 50eed9f:models/general-x4.onnx
"""

import argparse
import json
import os
import statistics
import subprocess
import time

SIZE = "width=640,height=360,framerate=25/1"
SOURCE = "videotestsrc num-buffers={frames} pattern=ball motion=sweep ! video/x-raw,format=NV12,{size}"
QUEUE = "queue max-size-buffers=2 max-size-bytes=0 max-size-time=0"
# The chain that was needed while the element took packed RGB alone.
CONVERTED = "videoconvert ! video/x-raw,format=RGB ! {queue} ! srfusion {properties} ! {queue} ! videoconvert ! video/x-raw,format=NV12"
NATIVE = "srfusion {properties}"
SHORT, LONG = 4, 28


def run(description: str) -> float:
    """Seconds that the pipeline takes."""
    started = time.monotonic()
    subprocess.run(["gst-launch-1.0", "-q", *description.split()], check=True)
    return time.monotonic() - started


def rate(middle: str, properties: str) -> float:
    """Frames a second of a chain."""
    def seconds(frames: int) -> float:
        chain = middle.format(properties=properties, queue=QUEUE)
        return run(f"{SOURCE.format(frames=frames, size=SIZE)} ! {chain} ! fakesink sync=false")
    return (LONG - SHORT) / (seconds(LONG) - seconds(SHORT))


def bare(plugin: str, frames: int = LONG - SHORT) -> float:
    """Frames a second of a loop that does nothing but run the general network, in eight bits, on tiles of the same size."""
    command = [os.path.join(plugin, "srfusion"), "bench", "--synthetic", "static", "--size", "640x360", "--rows", "bare", "--face-model", "none",
               "--provider", "cpu", "--precision", "int8", "--frames", str(frames), "--rounds", "1", "--json", "--no-peak"]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    (row,) = json.loads(result.stdout)["rows"]
    return row["frames_per_second"]


def compare(name: str, first, second, rounds: int) -> None:
    """Prints the median ratio of two measurements taken by turns."""
    pairs = [(first(), second()) for _ in range(rounds)]
    ratio = statistics.median(a / b for a, b in pairs)
    values = [statistics.median(side) for side in zip(*pairs)]
    print(f"{name}: {values[0]:.2f} and {values[1]:.2f}, ratio {ratio:.2f}", flush=True)


def still(properties: str) -> float:
    """Frames a second of 200 frames of a still picture, whole process. Bars of 75 %: those of `smpte` have a field of noise."""
    source = "videotestsrc num-buffers=200 pattern=smpte75 ! video/x-raw,format=NV12,width=384,height=216,framerate=25/1"
    return 200 / run(f"{source} ! srfusion {properties} ! fakesink sync=false")


def memory(properties: str) -> float:
    """Most resident memory of 1920x1080, in MB."""
    source = "videotestsrc num-buffers=4 pattern=ball ! video/x-raw,format=NV12,width=1920,height=1080,framerate=25/1"
    command = ["gst-launch-1.0", "-q", *f"{source} ! srfusion {properties} ! fakesink sync=false".split()]
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    return usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plugin", help="folder with the plugin of a release build")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--old-general", help="network of colours of an older release")
    args = parser.parse_args()
    os.environ["GST_PLUGIN_PATH"] = args.plugin
    os.environ.setdefault("SRFUSION_MODELS", os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "models")))
    models = "provider=cpu face-model=none reuse=none"
    for precision in ["fp32", "int8"]:
        properties = f"{models} precision={precision}"
        compare(f"NV12 {precision}, frames a second native and converted",
                lambda p=properties: rate(NATIVE, p), lambda p=properties: rate(CONVERTED, p), args.rounds)
    compare("NV12 int8, frames a second of the element and of a bare loop",
            lambda: rate(NATIVE, f"{models} precision=int8"), lambda: bare(args.plugin), args.rounds)
    if args.old_general:
        old = f"{models} precision=fp32 general-model={os.path.abspath(args.old_general)}"
        for precision in ["fp32", "int8"]:
            compare(f"NV12, {precision} native and an older network, fp32 converted",
                    lambda p=f"{models} precision={precision}": rate(NATIVE, p), lambda: rate(CONVERTED, old), args.rounds)
    compare("still 384x216, frames a second exact and none", lambda: still("provider=cpu reuse=exact"),
            lambda: still("provider=cpu reuse=none"), min(args.rounds, 3))
    frame = 7680 * 4320 * 3 / 2 / 1048576
    for name, properties in [("no faces", "provider=cpu face-model=none detector-model=none"), ("default models", "provider=cpu")]:
        found = memory(properties)
        print(f"memory of 1920x1080 NV12, {name}: {found:.0f} MB, {(found - 6 * frame):.0f} MB beside six output frames of {frame:.0f} MB")


if __name__ == "__main__":
    main()
