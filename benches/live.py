#!/usr/bin/python3
"""Plays clips live through the element with a deadline, and prints what came out, what was late, and how sharp it stayed.

    cargo build --release -p gst-plugin-srfusion
    benches/live.py room   PLUGIN_FOLDER CLIP.mp4 [--minutes 10]      640x360 at 25 frames a second
    benches/live.py large  PLUGIN_FOLDER CLIP.mp4 [--minutes 10]      1280x720 at 12.5 frames a second
    benches/live.py load   PLUGIN_FOLDER CLIP.mp4 [--minutes 2]       as room, twice without and once with a load on one core that comes and goes
    benches/live.py many   PLUGIN_FOLDER CLIP.mp4 [--minutes 2]       eight times 320x180 at 5 frames a second in one process
    benches/live.py pump   PLUGIN_FOLDER CLIP.mp4 [--pictures FOLDER] sharpness from frame to frame, with a deadline and without

The clip is scaled, encoded as H.264 and repeated for as long as is asked for, once and before anything is measured; it is decoded to NV12 and
played at its pace. A frame's delay is from the time that it is due at the element to the time that it has left it; one that has more than
the deadline and --jitter is late. `--set "NAME=VALUE ..."` sets properties of the element. An idle machine; PyGObject, ffmpeg.
"""

import argparse
import array
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402

MS = 1_000_000
# Width, height, frames a second, number of cameras.
SCENES = {"room": (640, 360, 25.0, 1), "load": (640, 360, 25.0, 1), "large": (1280, 720, 12.5, 1), "many": (320, 180, 5.0, 8),
          "pump": (640, 360, 25.0, 1)}


def encode(clip: str, size: tuple[int, int], rate: float, seconds: float, folder: str) -> str:
    """The clip as a camera would send it, repeated for so many seconds."""
    name = os.path.join(folder, f"{size[0]}x{size[1]}.mp4")
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-stream_loop", "-1", "-i", clip, "-t", str(seconds), "-an",
                    "-vf", f"scale={size[0]}:{size[1]},fps={rate}", "-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency",
                    "-crf", "23", "-g", "50", "-pix_fmt", "yuv420p", name], check=True)
    return name


class Camera:
    """One chain of the pipeline: when its frames left the element, and what that says of itself."""

    def __init__(self, pipeline: Gst.Pipeline, index: int, keep: int):
        self.pipeline, self.keep = pipeline, keep
        self.delays: list[int] = []
        self.times: list[int] = []
        self.rows: list[tuple[int, array.array]] = []
        self.faces: list[bool] = []
        self.element = pipeline.get_by_name(f"engine{index}")
        pad = self.element.get_static_pad("src")
        pad.add_probe(Gst.PadProbeType.BUFFER, self.left)

    def left(self, pad: Gst.Pad, info: Gst.PadProbeInfo) -> Gst.PadProbeReturn:
        buffer = info.get_buffer()
        now = self.pipeline.get_clock().get_time() - self.pipeline.get_base_time()
        self.delays.append(now - buffer.pts)
        self.times.append(buffer.pts)
        self.faces.append(buffer.get_meta("GstVideoRegionOfInterestMetaAPI") is not None)
        if self.keep:
            self.rows.append((buffer.pts, self.sample(pad, buffer)))
        return Gst.PadProbeReturn.OK

    def sample(self, pad: Gst.Pad, buffer: Gst.Buffer) -> array.array:
        """Every `keep`th row of luma."""
        caps = pad.get_current_caps().get_structure(0)
        width, height = caps.get_value("width"), caps.get_value("height")
        done, data = buffer.map(Gst.MapFlags.READ)
        rows = array.array("B")
        if done:
            view = memoryview(data.data)
            for y in range(self.keep // 2, height, self.keep):
                rows.frombytes(view[y * width:(y + 1) * width])
            buffer.unmap(data)
        return rows

    def stats(self) -> Gst.Structure:
        return self.element.get_property("stats")

    def count(self, name: str) -> int:
        return self.stats().get_value(name)


def play(clips: list[str], deadline: int, properties: str, keep: int = 0, watch=None, paced: bool = True) -> tuple[list[Camera], float, int]:
    """Plays the clips side by side; the cameras, how long it took, and how many frames went in."""
    pace = "identity sync=true !" if paced else ""
    chains = [f"filesrc location={clip} ! qtdemux ! h264parse ! avdec_h264 max-threads=1 ! video/x-raw,format=I420 ! videoconvert ! "
              f"video/x-raw,format=NV12 ! queue max-size-buffers=4 max-size-bytes=0 max-size-time=0 ! {pace} identity name=in{i} ! "
              f"srfusion name=engine{i} deadline={deadline} {properties} ! fakesink sync=false async=false"
              for i, clip in enumerate(clips)]
    pipeline = Gst.parse_launch(" ".join(chains))
    cameras = [Camera(pipeline, i, keep) for i in range(len(clips))]
    taken = [0] * len(clips)

    def came(_pad, _info, i):
        taken[i] += 1
        return Gst.PadProbeReturn.OK
    for i in range(len(clips)):
        pipeline.get_by_name(f"in{i}").get_static_pad("src").add_probe(Gst.PadProbeType.BUFFER, came, i)
    # Models are opened before the clock runs, or the first frames would be late for that.
    pipeline.set_state(Gst.State.PAUSED)
    end = time.monotonic() + 120
    while any(camera.element.get_property("active-provider") is None for camera in cameras):
        if time.monotonic() > end:
            sys.exit("the models are not open after two minutes")
        time.sleep(0.1)
    started = time.monotonic()
    pipeline.set_state(Gst.State.PLAYING)
    stop = threading.Event()
    watcher = threading.Thread(target=watch, args=(cameras, stop)) if watch else None
    if watcher:
        watcher.start()
    bus = pipeline.get_bus()
    while True:
        message = bus.timed_pop_filtered(Gst.SECOND, Gst.MessageType.EOS | Gst.MessageType.ERROR)
        if message and message.type == Gst.MessageType.ERROR:
            sys.exit(message.parse_error()[0].message)
        if message:
            break
    stop.set()
    if watcher:
        watcher.join()
    took = time.monotonic() - started
    for camera in cameras:
        camera.last = camera.stats()
    pipeline.set_state(Gst.State.NULL)
    return cameras, took, sum(taken)


def report(cameras: list[Camera], frames_in: int, deadline: int, jitter: int) -> None:
    delays = sorted(delay for camera in cameras for delay in camera.delays)
    late = sum(delay > deadline + jitter for delay in delays)
    at = lambda share: delays[min(len(delays) - 1, int(share * len(delays)))] / MS  # noqa: E731
    print(f"frames in {frames_in}, out {len(delays)}; later than {deadline / MS:.0f} + {jitter / MS:.0f} ms: {late} "
          f"({1000 * late / max(1, len(delays)):.2f} in 1,000)")
    print(f"delay: {at(0.5):.1f} ms in the middle, {at(0.99):.1f} in 99 of 100, {at(0.999):.1f} in 999 of 1,000, {delays[-1] / MS:.1f} at most")
    for i, camera in enumerate(cameras):
        value = camera.last.get_value
        times = [f"{pts / 1e9:.1f} s ({delay / MS:.0f} ms)" for pts, delay in zip(camera.times, camera.delays) if delay > deadline + jitter]
        if times:
            print(f"camera {i}: late at {', '.join(times[:20])}{' and more' if len(times) > 20 else ''}")
        shares = [100 * value(name) for name in ("share-full", "share-fast", "share-interpolated")]
        faces = list(zip(camera.faces, camera.delays))
        seen = [delay for face, delay in faces if face]
        sharp = sum(delay <= deadline + jitter for delay in seen)
        print(f"camera {i}: full {shares[0]:.1f} %, fast {shares[1]:.1f} %, interpolated {shares[2]:.1f} %; deadline missed by the element's count "
              f"{value('deadline-missed')}; faces {value('objects-at-full-quality')}, frames with a face {len(seen)}, of these in time, with it at "
              f"full quality, {sharp} ({100 * sharp / max(1, len(seen)):.1f} %)")


def resident() -> float:
    """Resident memory of this process in MB."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


class Load:
    """Keeps one core busy from time to time, unless it only looks, and notes by what frames are drawn meanwhile."""
    PERIOD, STEP, AROUND = 10.0, 0.2, 0.5

    def __init__(self, looks_only: bool) -> None:
        self.looks_only = looks_only
        self.samples: list[tuple[float, bool, float]] = []

    def __call__(self, cameras: list[Camera], stop: threading.Event) -> None:
        begun, busy, before = time.monotonic(), None, None
        while not stop.wait(self.STEP):
            passed = time.monotonic() - begun
            wanted = not self.looks_only and int(passed / self.PERIOD) % 2 == 1
            if wanted and busy is None:
                busy = subprocess.Popen([sys.executable, "-c", "while True: pass"],
                                        preexec_fn=lambda: os.sched_setaffinity(0, {max(os.sched_getaffinity(0))}))
            if not wanted and busy is not None:
                busy.send_signal(signal.SIGKILL)
                busy.wait()
                busy = None
            now = [cameras[0].count(name) for name in ("tiles-total", "tiles-fast", "tiles-late")]
            if before and now[0] > before[0]:
                total, fast, late = (b - a for a, b in zip(before, now))
                self.samples.append((passed, wanted, 1 - (fast + late) / total))
            before = now
        if busy is not None:
            busy.kill()
            busy.wait()

    def around(self, time_: float) -> list[float]:
        """The shares about a time of the clip."""
        return [share for passed, _, share in self.samples if abs(passed - time_) <= self.AROUND]

    def below(self, other: "Load", time_: float) -> float:
        """By how much this run's mean share of the half second from that time on is below `other`'s about its middle."""
        own = [share for passed, _, share in self.samples if 0 <= passed - time_ <= self.AROUND]
        return statistics.mean(other.around(time_ + self.AROUND / 2) or [1.0]) - statistics.mean(own)

    def report(self, free: "Load", again: "Load") -> None:
        """Against `free`, the same clip without a load: what moves is not drawn in full without one either. What two runs without one differ by is
        no lack of quality: it is back where a half second is no further below `free` than nine of ten of `again`, which had no load either."""
        loaded = [(share, statistics.mean(free.around(passed) or [1.0])) for passed, busy, share in self.samples if busy]
        if not loaded:
            return print("too short for a load to come and go")
        print(f"under the load {100 * statistics.mean(share for share, _ in loaded):.1f} % of the picture by the general network, without one "
              f"{100 * statistics.mean(share for _, share in loaded):.1f} % at the same places of the clip")
        strays = sorted(again.below(free, passed) for passed, _, _ in again.samples)
        allowed = max(0.01, strays[int(0.9 * len(strays))])
        print(f"two runs without a load: nine of ten half seconds of the one are less than {100 * allowed:.1f} % of the picture below the other")
        for i in range(1, len(self.samples)):
            if not self.samples[i - 1][1] or self.samples[i][1]:
                continue
            begin = self.samples[i][0]
            back = [passed for passed, busy, _ in self.samples[i:] if not busy and self.below(free, passed) <= allowed]
            print(f"load gone at {begin:.1f} s: quality back after {f'{back[0] - begin:.1f} s' if back else 'never'}")


def sharpness(rows: array.array, width: int, tile: int) -> list[float]:
    """Mean absolute second difference along rows, tile by tile."""
    found = []
    for start in range(0, len(rows), width):
        row = rows[start:start + width]
        for left in range(0, width - tile + 1, tile):
            piece = row[left:left + tile]
            found.append(sum(abs(a - 2 * b + c) for a, b, c in zip(piece, piece[1:], piece[2:])) / (tile - 2))
    return found


def pump(clip: str, rate: float, width: int, options: argparse.Namespace, deadline: int) -> None:
    """How much the sharpness of each part of the picture changes from frame to frame, in shares of the mean sharpness."""
    for name, time_, paced in (("without a deadline", 0, False), ("with a deadline", deadline, True)):
        cameras, _, _ = play([clip], time_, options.set, keep=48, paced=paced)
        camera = cameras[0]
        all_ = [sharpness(rows, 4 * width, 64) for _, rows in camera.rows]
        mean = statistics.mean(value for frame in all_ for value in frame)
        changes = [[abs(b - a) / mean for a, b in zip(one, two)] for one, two in zip(all_, all_[1:])]
        by_frame = [statistics.mean(frame) for frame in changes]
        value = camera.last.get_value
        shares = ", ".join(f"{part} {100 * value('share-' + part):.1f} %" for part in ("full", "fast", "interpolated"))
        print(f"{name}: {len(all_)} frames, {shares}; change of sharpness a frame, as a share of the mean: mean {statistics.mean(by_frame):.4f}, "
              f"largest of a whole frame {max(by_frame):.4f}, of a part of one {max(max(frame) for frame in changes):.4f}")
    if options.pictures:
        pictures(clip, deadline, options)


def pictures(clip: str, deadline: int, options: argparse.Namespace) -> None:
    """Leaves the frames with a deadline as PNGs, ten a second of the clip."""
    Path(options.pictures).mkdir(parents=True, exist_ok=True)
    pipeline = Gst.parse_launch(
        f"filesrc location={clip} ! qtdemux ! h264parse ! avdec_h264 ! videoconvert ! video/x-raw,format=NV12 ! identity sync=true ! "
        f"srfusion deadline={deadline} {options.set} ! queue max-size-buffers=1000 max-size-bytes=0 max-size-time=0 ! videorate drop-only=true ! "
        f"video/x-raw,framerate=10/1 ! videoconvert ! pngenc compression-level=1 ! multifilesink location={options.pictures}/%04d.png")
    pipeline.set_state(Gst.State.PLAYING)
    pipeline.get_bus().timed_pop_filtered(Gst.CLOCK_TIME_NONE, Gst.MessageType.EOS | Gst.MessageType.ERROR)
    pipeline.set_state(Gst.State.NULL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=SCENES)
    parser.add_argument("plugin", help="the folder of libgstsrfusion.so")
    parser.add_argument("clip")
    parser.add_argument("--minutes", type=float, default=None, help="how long it is played")
    parser.add_argument("--jitter", type=float, default=2.0, help="milliseconds over the deadline that are not late")
    parser.add_argument("--set", default="reuse=tolerant", help="properties of the element")
    parser.add_argument("--pictures", help="a folder for frames of pump")
    options = parser.parse_args()
    os.environ["GST_PLUGIN_PATH"] = os.path.abspath(options.plugin)
    os.environ.setdefault("SRFUSION_MODELS", str(Path(__file__).resolve().parent.parent / "models"))
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GST_REGISTRY_1_0"] = os.path.join(folder, "registry.bin")
        Gst.init(None)
        width, height, rate, number = SCENES[options.mode]
        minutes = options.minutes or {"room": 10, "large": 10, "load": 2, "many": 2, "pump": 0.2}[options.mode]
        clip = encode(options.clip, (width, height), rate, 60 * minutes, folder)
        deadline, jitter = round(1e9 / rate), round(options.jitter * MS)
        if options.mode == "pump":
            return pump(clip, rate, width, options, deadline)
        load, free, again = Load(False), Load(True), Load(True)
        if options.mode == "load":
            for without in (free, again):
                play([clip] * number, deadline, options.set, watch=without)
        else:
            load = None
        cameras, took, frames_in = play([clip] * number, deadline, options.set, watch=load)
        print(f"{options.mode}: {number} x {width}x{height} at {rate} frames a second for {took:.1f} s, {resident():.0f} MB resident at the end")
        report(cameras, frames_in, deadline, jitter)
        if load:
            load.report(free, again)


if __name__ == "__main__":
    main()
