#!/usr/bin/env python3
"""A camera for tests: an RTSP server on this machine that can be told to stall, to slow down, to drop whoever watches, and to change its picture's size.

Prints its port and serves /stream until it is ended. Reads commands, one a line: `stall`, `go`, `drop`, `size WIDTHxHEIGHT`, `rate N`.
"""

import argparse
import sys
import threading

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

SOUND = {
    "none": "",
    "aac": "audiotestsrc is-live=true wave=ticks ! audio/x-raw,rate=16000,channels=1 ! voaacenc ! aacparse ! rtpmp4gpay name=pay1 pt=97",
    "alaw": "audiotestsrc is-live=true wave=ticks ! audio/x-raw,rate=8000,channels=1 ! alawenc ! rtppcmapay name=pay1 pt=8",
}
PAYLOADERS = {
    "h264": "x264enc tune=zerolatency key-int-max={key} ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=-1",
    "mjpeg": "jpegenc ! rtpjpegpay name=pay0 pt=26",
}


def size_caps(size):
    """Caps of a picture size as it is typed."""
    width, height = size.split("x")
    return f"video/x-raw,width={width},height={height}"


class Camera:
    """The server and the media that it has at the moment."""

    def __init__(self, options):
        self.options = options
        self.medias = []
        self.commands = {}
        self.server = GstRtspServer.RTSPServer(address="127.0.0.1", service=str(options.port))
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_shared(True)
        payloader = PAYLOADERS[options.codec].format(key=options.key)
        factory.set_launch(
            f"( videotestsrc is-live=true pattern={options.pattern} ! videorate ! capsfilter name=rate caps=video/x-raw,framerate={options.rate}/1 "
            f"! videoscale ! capsfilter name=size caps={size_caps(options.size)} ! valve name=valve ! {payloader} {SOUND[options.sound]} )"
        )
        factory.connect("media-configure", self.configured)
        if options.user:
            self.protect(factory)
        self.server.get_mount_points().add_factory("/stream", factory)
        self.server.attach(None)

    def protect(self, factory):
        """Asks for user and password."""
        auth = GstRtspServer.RTSPAuth()
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        token = GstRtspServer.RTSPToken()
        token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, "user")
        auth.add_digest(self.options.user, self.options.password, token)
        self.server.set_auth(auth)
        role = Gst.Structure.new_empty("user")
        role.set_value("media.factory.access", True)
        role.set_value("media.factory.construct", True)
        factory.add_role_from_structure(role)

    def configured(self, _, media):
        """Keeps a media, and has it do what was told before it was there."""
        self.medias.append(media)
        for name, value in self.commands.items():
            self.apply(name, value)

    def apply(self, name, value):
        """Does one thing to every media."""
        for media in self.medias:
            bin_ = media.get_element()
            if name == "size":
                bin_.get_by_name("size").set_property("caps", Gst.Caps.from_string(size_caps(value)))
            elif name == "rate":
                bin_.get_by_name("rate").set_property("caps", Gst.Caps.from_string(f"video/x-raw,framerate={value}/1"))
            elif name == "valve":
                bin_.get_by_name("valve").set_property("drop", value)

    def command(self, line):
        """Does what a line says."""
        words = line.split()
        if words[0] == "drop":
            self.server.client_filter(lambda *_: GstRtspServer.RTSPFilterResult.REMOVE)
            return False
        if words[0] in ("stall", "go"):
            name, value = "valve", words[0] == "stall"
        else:
            name, value = words
        self.commands[name] = value
        self.apply(name, value)
        return False

    def listen(self):
        """Hears commands, in a thread of its own."""
        for line in sys.stdin:
            if line.strip():
                GLib.idle_add(self.command, line.strip())


def main():
    """Serves."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--size", default="64x48")
    parser.add_argument("--rate", type=int, default=10)
    parser.add_argument("--key", type=int, default=10)
    parser.add_argument("--pattern", default="ball")
    parser.add_argument("--codec", choices=PAYLOADERS, default="h264")
    parser.add_argument("--sound", choices=SOUND, default="none")
    parser.add_argument("--user")
    parser.add_argument("--password")
    options = parser.parse_args()
    Gst.init(None)
    camera = Camera(options)
    print(camera.server.get_bound_port(), flush=True)
    threading.Thread(target=camera.listen, daemon=True).start()
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
