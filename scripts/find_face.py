#!/usr/bin/env python3
"""Finds the frame of a video with the largest face, as the srfusion element sees it, and saves it as two pictures.

Used by scripts/demo for its comparison. Runs the video through `srfusion view=mask`, which finds and follows faces but
runs no generator, so it is quick; the mask that is saved is the one that the fused video had at that frame. Writes
bicubic.png and mask.png to the folder given and prints one line of JSON:

    {"frames": 84, "with_face": 84, "frame": 70, "face": [x, y, width, height] or null}

`frame` counts from 0, `face` is in pixels of the output, and the frame in the middle is taken if there is no face.
Only the first frames of a long video are searched (--limit).
Needs PyGObject with GStreamer's introspection data, and the plugin where GStreamer finds it.
"""

import argparse
import json
import os
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstVideo", "1.0")
from gi.repository import Gst, GstVideo  # noqa: E402

# Region ids are handed out in turn: new ones lie close above the largest seen.
ID_WINDOW = 128


class Failure(Exception):
    """Something that the user must be told."""


def quoted(path):
    """A path as a value in a pipeline description."""
    return '"' + os.path.abspath(path).replace("\\", "\\\\").replace('"', '\\"') + '"'


def run(description, probes):
    """Runs a pipeline to its end; `probes` maps names of elements to callbacks on buffers leaving them."""
    try:
        pipeline = Gst.parse_launch(description)
    except gi.repository.GLib.Error as error:
        raise Failure(f"cannot make the pipeline '{description}': {error.message}") from error
    for name, callback in probes.items():
        pad = pipeline.get_by_name(name).get_static_pad("src")
        pad.add_probe(Gst.PadProbeType.BUFFER, lambda _, info, call: call(info.get_buffer()), callback)
    bus = pipeline.get_bus()
    pipeline.set_state(Gst.State.PLAYING)
    try:
        message = bus.timed_pop_filtered(Gst.CLOCK_TIME_NONE, Gst.MessageType.EOS | Gst.MessageType.ERROR)
        if message.type == Gst.MessageType.ERROR:
            error, detail = message.parse_error()
            raise Failure(f"{message.src.get_name()}: {error.message} ({detail})")
    finally:
        pipeline.set_state(Gst.State.NULL)


class Search:
    """Looks at every frame for faces and remembers the largest."""

    def __init__(self):
        self.frames = 0
        self.with_face = 0
        self.best = None  # (area times weight, frame, box)
        self.highest_id = 0

    def faces(self, buffer):
        """Boxes and weights of the faces on a buffer."""
        for number in range(max(0, self.highest_id - ID_WINDOW), self.highest_id + ID_WINDOW):
            region = GstVideo.buffer_get_video_region_of_interest_meta_id(buffer, number)
            if region is None:
                continue
            self.highest_id = max(self.highest_id, number)
            parameters = region.get_param("srfusion/face")
            if parameters is not None:
                known, weight = parameters.get_double("weight")
                yield (region.x, region.y, region.w, region.h), weight if known else 1.0

    def __call__(self, buffer):
        found = False
        for box, weight in self.faces(buffer):
            found = True
            size = box[2] * box[3] * weight
            if self.best is None or size > self.best[0]:
                self.best = (size, self.frames, box)
        self.with_face += found
        self.frames += 1
        return Gst.PadProbeReturn.OK


def keep_only(wanted):
    """A callback that lets only one frame of a stream pass."""
    passed = iter(range(1 << 62))
    return lambda _: Gst.PadProbeReturn.OK if next(passed) == wanted else Gst.PadProbeReturn.DROP


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("video")
    parser.add_argument("folder")
    parser.add_argument("--limit", type=int, default=1500, help="frames to search (default: %(default)s)")
    options = parser.parse_args()
    Gst.init(None)

    source = f"filesrc location={quoted(options.video)} ! decodebin ! videoconvert name=source"
    png = "videoconvert ! video/x-raw,format=RGB ! pngenc compression-level=1 snapshot=true ! filesink location="
    search = Search()
    limited = f"{source} ! identity eos-after={max(1, options.limit)}"
    run(f"{limited} ! srfusion name=faces view=mask ! fakesink sync=false", {"faces": search})
    if search.frames == 0:
        raise Failure(f"{options.video} has no frame that can be decoded")
    frame, box = (search.best[1], search.best[2]) if search.best else (search.frames // 2, None)

    # Bicubic needs that frame alone, the mask also all frames before it, because it is smoothed over time.
    bicubic = f"{source} ! srfusion view=bicubic detector-model=none face-model=none ! {png}"
    run(bicubic + quoted(os.path.join(options.folder, "bicubic.png")), {"source": keep_only(frame)})
    mask = f"{source} ! srfusion name=faces view=mask ! {png}"
    run(mask + quoted(os.path.join(options.folder, "mask.png")), {"faces": keep_only(frame)})

    print(json.dumps({"frames": search.frames, "with_face": search.with_face, "frame": frame, "face": box}))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"find_face.py: error: {failure}")
