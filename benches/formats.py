#!/usr/bin/env python3
"""What native formats are worth, as ratios in alternating runs of gst-launch-1.0: video as it comes against the same through converters to RGB
and back, a still picture against none kept, and the memory of 1920x1080. Times are those between a short and a long run, so that opening
models does not count; for the still picture they are of the whole process.

Usage: benches/formats.py PLUGIN_FOLDER [ROUNDS]     (a release build; an idle machine)
"""

import os
import statistics
import subprocess
import sys
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
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    os.environ["GST_PLUGIN_PATH"] = sys.argv[1]
    os.environ.setdefault("SRFUSION_MODELS", os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "models")))
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    models = "provider=cpu face-model=none"
    for precision in ["fp32", "int8"]:
        properties = f"{models} reuse=none precision={precision}"
        compare(f"NV12 {precision}, frames a second native and converted",
                lambda p=properties: rate(NATIVE, p), lambda p=properties: rate(CONVERTED, p), rounds)
    compare("NV12, int8 native and fp32 converted", lambda: rate(NATIVE, f"{models} reuse=none precision=int8"),
            lambda: rate(CONVERTED, f"{models} reuse=none precision=fp32"), rounds)
    luma = f"provider=cpu face-model=none reuse=none general-model={os.path.abspath('models/candidates/general-y48x8.int8.onnx')}"
    compare("NV12, luma int8 native and fp32 converted", lambda: rate(NATIVE, luma),
            lambda: rate(CONVERTED, f"{models} reuse=none precision=fp32"), rounds)
    compare("still 384x216, frames a second exact and none", lambda: still("provider=cpu reuse=exact"),
            lambda: still("provider=cpu reuse=none"), min(rounds, 3))
    frame = 7680 * 4320 * 3 / 2 / 1048576
    found = memory("provider=cpu")
    print(f"memory of 1920x1080 NV12: {found:.0f} MB, {(found - 6 * frame):.0f} MB beside six output frames of {frame:.0f} MB")


if __name__ == "__main__":
    main()
