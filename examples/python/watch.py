#!/usr/bin/env python3
"""A camera for months, in sixty lines: every frame is upscaled in the time until the next, and the camera is connected to again whenever it goes.

    python3 watch.py rtsp://camera/stream recording [CONNECTIONS]

leaves recording-0.mkv, recording-1.mkv and so on, one for each connection. Needs PyGObject (python3-gi). `srfusion camera` (docs/live.md) does
much more.
"""

import itertools
import sys
import time

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402

# Seconds that a camera may be silent, and the waits before it is tried again; the last one for ever.
SILENCE = 10
WAITS = [1, 5, 10, 60]

PIPELINE = """uridecodebin name=source ! queue leaky=downstream max-size-buffers=2 max-size-bytes=0 max-size-time=0
    ! srfusion name=engine deadline=-1 reuse=tolerant ! queue max-size-buffers=4 max-size-bytes=0
    ! x264enc tune=zerolatency speed-preset=veryfast ! h264parse ! matroskamux streamable=true ! filesink name=file"""


def watch(address: str, file: str) -> int:
    """Plays until the end, an error, or silence. Returns the frames that came out."""
    pipeline = Gst.parse_launch(PIPELINE)
    pipeline.get_by_name("source").set_property("uri", address)
    pipeline.get_by_name("file").set_property("location", file)
    engine = pipeline.get_by_name("engine")

    def frames() -> int:
        return engine.get_property("stats").get_value("frames-out")

    pipeline.set_state(Gst.State.PLAYING)
    before, reason = -1, None
    while reason is None:
        message = pipeline.get_bus().timed_pop_filtered(SILENCE * Gst.SECOND, Gst.MessageType.EOS | Gst.MessageType.ERROR)
        if message:
            reason = message.parse_error()[0].message if message.type == Gst.MessageType.ERROR else "it has ended"
        elif frames() == before:
            reason = f"no frame for {SILENCE} s"
        else:
            before = frames()
    pipeline.set_state(Gst.State.NULL)
    print(f"{file}: {reason}", file=sys.stderr)
    return frames()


def main() -> None:
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    Gst.init(None)
    address, recording = sys.argv[1:3]
    connections = range(int(sys.argv[3])) if len(sys.argv) > 3 else itertools.count()
    failures = 0
    for connection in connections:
        frames = watch(address, f"{recording}-{connection}.mkv")
        print(f"connection {connection}: {frames} frames", flush=True)
        failures = 0 if frames else failures + 1
        if len(sys.argv) < 4 or connection + 1 < len(connections):
            time.sleep(WAITS[min(failures, len(WAITS) - 1)])


if __name__ == "__main__":
    main()
