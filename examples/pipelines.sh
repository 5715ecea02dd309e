#!/bin/sh
# The gst-launch lines of the README and of docs/, each runnable on a file or camera of one's own.
#
# Usage: examples/pipelines.sh NAME INPUT OUTPUT      (examples/pipelines.sh --help lists the names)
#
# GStreamer must find the plugin: install it, or set GST_PLUGIN_PATH to the folder of libgstsrfusion.so.
set -eu

usage() {
    cat <<'TEXT'
usage: examples/pipelines.sh NAME INPUT OUTPUT

  file       a video file to an MP4 file, picture only
  sound      a video file to an MP4 file, its AAC or MP3 sound copied as it is
  camera     a live source to an MP4 file, late frames dropped; a test picture stands in for the camera,
             INPUT is the number of frames to take (for instance 30)
  network    an RTSP camera (H.264, H.265 or MJPEG) to a Matroska file; INPUT is its rtsp:// address. Ends with Ctrl-C
  compare    as file, with the bicubic picture on the left half
  mask       as file, but the face mask instead of the picture
TEXT
}

case "${1-}" in
    -h | --help) usage; exit 0 ;;
esac
if [ $# -ne 3 ]; then
    usage >&2
    exit 2
fi
name=$1
input=$2
output=$3

# $1: further properties of the element.
file() {
    gst-launch-1.0 -e filesrc location="$input" ! decodebin \
        ! srfusion "$@" \
        ! x264enc pass=qual quantizer=18 vbv-buf-capacity=0 bframes=0 ! h264parse ! mp4mux ! filesink location="$output"
}

case "$name" in
    file) file ;;
    compare) file view=split ;;
    mask) file view=mask ;;
    sound)
        gst-launch-1.0 -e filesrc location="$input" ! parsebin name=in mp4mux name=out ! filesink location="$output" \
            multiqueue name=wait max-size-time=0 max-size-buffers=5 max-size-bytes=100000000 \
            in. ! "video/x-h264;video/x-h265;video/x-vp9;video/x-vp8;video/x-av1;video/mpeg" ! wait.sink_0 wait.src_0 ! decodebin ! srfusion \
            ! x264enc pass=qual quantizer=18 vbv-buf-capacity=0 bframes=0 ! h264parse ! out. \
            in. ! audio/mpeg ! wait.sink_1 wait.src_1 ! out.
        ;;
    camera)
        # With a camera: v4l2src in the place of videotestsrc.
        gst-launch-1.0 -e videotestsrc is-live=true pattern=ball num-buffers="$input" ! video/x-raw,width=320,height=240 \
            ! queue leaky=downstream max-size-buffers=2 max-size-bytes=0 max-size-time=0 \
            ! srfusion general-model=general-x4-camera face-model=face-x4-camera ! queue max-size-buffers=2 max-size-bytes=0 \
            ! x264enc tune=zerolatency speed-preset=veryfast pass=qual quantizer=21 vbv-buf-capacity=0 \
            ! h264parse ! mp4mux ! filesink location="$output"
        ;;
    network)
        gst-launch-1.0 -e rtspsrc location="$input" latency=200 ! application/x-rtp,media=video ! decodebin \
            ! queue leaky=downstream max-size-buffers=2 max-size-bytes=0 max-size-time=0 \
            ! srfusion reuse=tolerant general-model=general-x4-camera face-model=face-x4-camera ! queue max-size-buffers=2 max-size-bytes=0 \
            ! x264enc tune=zerolatency speed-preset=veryfast pass=qual quantizer=21 vbv-buf-capacity=0 \
            ! h264parse ! matroskamux ! filesink location="$output"
        ;;
    *)
        echo "pipelines.sh: no pipeline is called '$name'" >&2
        usage >&2
        exit 2
        ;;
esac
