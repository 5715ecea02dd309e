#!/usr/bin/env python3
"""Video file to video file in Python, printing the faces of each frame.

    upscale.py INPUT OUTPUT.mp4 [--provider NAME] [--view NAME]

Needs PyGObject and GStreamer's introspection (Debian: python3-gi, gir1.2-gst-plugins-base-1.0), and GStreamer must
find the plugin: install it, or set GST_PLUGIN_PATH to the folder of libgstsrfusion.so.

The element attaches a GstVideoRegionOfInterestMeta for each face to its frames, in pixels of the output. This program
reads them in a pad probe: frames pass it one after the other, in the streaming thread.
"""

import argparse
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstVideo", "1.0")
from gi.repository import Gst, GstVideo  # noqa: E402


class Faces:
    """Finds the faces attached to frames.

    PyGObject cannot walk through the metas of a buffer, but it can count them and fetch one by its number. Here that is
    the face's number, which it keeps from frame to frame; later faces have higher ones.
    """

    def __init__(self):
        self.lowest = 0
        self.api = GstVideo.video_region_of_interest_meta_api_get_type()

    def of(self, buffer):
        """Returns number, x, y, width and height of each face attached to `buffer`."""
        faces, number = [], self.lowest
        while len(faces) < buffer.get_n_meta(self.api) and number < self.lowest + 100_000:
            meta = GstVideo.buffer_get_video_region_of_interest_meta_id(buffer, number)
            if meta is not None:
                faces.append((number, meta.x, meta.y, meta.w, meta.h))
            number += 1
        if faces:
            self.lowest = faces[0][0]
        return faces


def look(_pad, info, faces):
    """Prints the faces of the frame that passes."""
    buffer = info.get_buffer()
    boxes = [f"#{number} {w}x{h}+{x}+{y}" for number, x, y, w, h in faces.of(buffer)]
    print(f"{buffer.pts / Gst.SECOND:9.3f} s  {'  '.join(boxes) or 'no face'}")
    return Gst.PadProbeReturn.OK


def main():
    parser = argparse.ArgumentParser(description="Upscale a video four times and print the faces in it.")
    parser.add_argument("input")
    parser.add_argument("output", help="an MP4 file")
    parser.add_argument("--provider", default="auto", help="auto, tensorrt, cuda, openvino or cpu")
    parser.add_argument("--view", default="fused", help="fused, general, face, mask, split or bicubic")
    options = parser.parse_args()

    Gst.init(None)
    if Gst.ElementFactory.find("srfusion") is None:
        sys.exit("the element srfusion is not found: install it, or set GST_PLUGIN_PATH")

    pipeline = Gst.parse_launch(
        "filesrc name=input ! decodebin ! queue max-size-buffers=4 ! srfusion name=engine"
        " ! queue max-size-buffers=2 max-size-bytes=0 ! x264enc pass=qual quantizer=18 vbv-buf-capacity=0 bframes=0"
        " ! h264parse ! mp4mux ! filesink name=output"
    )
    pipeline.get_by_name("input").set_property("location", options.input)
    pipeline.get_by_name("output").set_property("location", options.output)
    engine = pipeline.get_by_name("engine")
    Gst.util_set_object_arg(engine, "provider", options.provider)
    Gst.util_set_object_arg(engine, "view", options.view)
    engine.get_static_pad("src").add_probe(Gst.PadProbeType.BUFFER, look, Faces())

    pipeline.set_state(Gst.State.PLAYING)
    message = pipeline.get_bus().timed_pop_filtered(
        Gst.CLOCK_TIME_NONE, Gst.MessageType.EOS | Gst.MessageType.ERROR
    )
    print(engine.get_property("stats").to_string())
    pipeline.set_state(Gst.State.NULL)
    if message.type == Gst.MessageType.ERROR:
        error, _details = message.parse_error()
        sys.exit(f"{message.src.get_name()}: {error.message}")


if __name__ == "__main__":
    main()
