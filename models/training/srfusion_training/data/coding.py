"""Video coding of training pictures: through an encoder and back, the way GStreamer's decoders and converters give the result.

Pictures become 4:2:0 by BT.601 in studio swing before encoding, and RGB again after decoding, here in floating point: ffmpeg's own
conversions are of limited accuracy. Chroma is sited as MPEG-2 has it on the way there; on the way back it is repeated, which is what
``videoconvert`` of GStreamer 1.22 does for 4:2:0 to RGB whatever its properties say. That converter's 8-bit arithmetic also
darkens by 1.5 (red, blue) to 4 levels (green); this is not imitated, because frames that stay in their format do not pass it.
"""

from __future__ import annotations

import shutil
import subprocess

import numpy as np

#: RGB in 0..255 -> Y, Cb, Cr; and what is added.
FORWARD = np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]]) / 255.0
OFFSET = np.array([16.0, 128.0, 128.0])
BACK = np.linalg.inv(FORWARD)

#: Name of a codec -> ffmpeg's encoder.
ENCODERS = {"h264": "libx264", "h265": "libx265"}


def find_ffmpeg() -> str:
    """Path of ffmpeg; FileNotFoundError if there is none."""
    found = shutil.which("ffmpeg")
    if found is None:
        raise FileNotFoundError("ffmpeg: not found; install it (with libx264 and libx265), or choose --codec jpeg")
    return found


def _u8(values: np.ndarray) -> np.ndarray:
    return np.clip(np.floor(values + 0.5), 0.0, 255.0).astype(np.uint8)


def to_yuv420(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """uint8[h, w, 3] RGB, h and w even -> Y uint8[h, w], Cb and Cr uint8[h/2, w/2], sited as MPEG-2."""
    yuv = picture.astype(np.float32) @ FORWARD.T.astype(np.float32) + OFFSET.astype(np.float32)
    chroma = yuv[..., 1:]
    rows = (chroma[0::2] + chroma[1::2]) / 2.0
    before = np.concatenate([rows[:, :1], rows[:, 1:-1:2]], axis=1)  # the odd column to the left of each even one
    across = (before + 2.0 * rows[:, 0::2] + rows[:, 1::2]) / 4.0
    return _u8(yuv[..., 0]), _u8(across[..., 0]), _u8(across[..., 1])


def from_yuv420(y: np.ndarray, cb: np.ndarray, cr: np.ndarray) -> np.ndarray:
    """The way back from :func:`to_yuv420`, chroma repeated: uint8[h, w, 3] RGB."""
    chroma = [np.repeat(np.repeat(plane, 2, 0), 2, 1) for plane in (cb, cr)]
    yuv = np.stack([y, *chroma], axis=-1).astype(np.float32) - OFFSET.astype(np.float32)
    return _u8(yuv @ BACK.T.astype(np.float32))


def coded(
    frames: np.ndarray, crf: int, preset: str = "medium", tune: str | None = None, codec: str = "h264", bits: float | None = None
) -> np.ndarray:
    """uint8[t, h, w, 3] -> the same shape after encoding (8 bit, 4:2:0) and decoding; h and w even.

    ``crf`` 0..51, higher is worse. ``bits`` a pixel, if given, are the most that the encoder may spend: with less than it asks for
    by ``crf`` it is starved, as cameras on a thin line are. ValueError with the encoder's last line if it fails.
    """
    if codec not in ENCODERS:
        raise ValueError(f"there is no codec '{codec}'; there are {', '.join(ENCODERS)}")
    count, height, width = frames.shape[:3]
    planes = b"".join(plane.tobytes() for frame in frames for plane in to_yuv420(frame))
    base = [find_ffmpeg(), "-hide_banner", "-loglevel", "error", "-nostdin", "-threads", "1"]
    raw = ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{width}x{height}", "-r", "25"]
    encode = [*base, *raw, "-i", "pipe:0", "-c:v", ENCODERS[codec], "-threads", "1", "-crf", str(crf), "-preset", preset]
    if codec == "h265":
        encode += ["-x265-params", "log-level=error:pools=none:frame-threads=1"]
    if bits is not None:
        rate = max(8, round(bits * width * height * 25 / 1000))
        # Room for half a second: a key frame of a short clip has to fit as well.
        encode += ["-maxrate", f"{rate}k", "-bufsize", f"{max(4, rate // 2)}k"]
    encode += [*(["-tune", tune] if tune else []), "-f", "matroska", "pipe:1"]
    decode = [*base, "-i", "pipe:0", "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "yuv420p", "pipe:1"]
    stream = subprocess.run(encode, input=planes, capture_output=True)
    result = subprocess.run(decode, input=stream.stdout, capture_output=True)
    if stream.returncode or result.returncode or len(result.stdout) != len(planes):
        said = (stream.stderr + result.stderr).decode(errors="replace").strip().splitlines()
        raise ValueError(f"ffmpeg returned {len(result.stdout)} of {len(planes)} bytes: {said[-1] if said else 'no message'}")
    samples = np.frombuffer(result.stdout, np.uint8).reshape(count, height * width * 3 // 2)
    luma, quarter = height * width, height * width // 4
    half = height // 2, width // 2
    return np.stack([
        from_yuv420(
            one[:luma].reshape(height, width), one[luma : luma + quarter].reshape(half), one[luma + quarter :].reshape(half)
        )
        for one in samples
    ])  # fmt: skip
