"""Writes the files in this folder: a small network in ncnn's format that has every layer that is known, a picture, and what PyTorch makes of it.

Usage: python make.py, with PyTorch and NumPy. The .bin files hold the same weights, in floats of 16 and of 32 bits.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

LINES = """\
Input                in 0 1 data
Split                s0 1 3 data d0 d1 d2
Convolution          c0 1 1 d0 a 0=6 1=3 4=1 5=1 6=162 9=2 -23310=1,2.000000e-01
PReLU                p0 1 1 a b 0=6
Split                s1 1 2 b b0 b1
ConvolutionDepthWise c1 1 1 b0 c 0=6 1=3 4=1 5=0 6=54 7=6 9=1
Concat               k0 2 1 c b1 e
Convolution          c2 1 1 e f0 0=48 1=1 11=3 14=1 4=0 5=1 6=1728 9=3 -23310=2,-1.500000e+00,1.250000e+00
ReLU                 r0 1 1 f0 f1 0=1.000000e-01
Split                s2 1 2 f1 f2 f3
Sigmoid              g0 1 1 f3 f4
Eltwise              e0 2 1 f2 f4 g 0=1 -23301=2,2.000000e-01,1.000000e+00
PixelShuffle         x0 1 1 g h 0=4
Interp               i0 1 1 d1 i 0=1 1=4.000000e+00 2=4.000000e+00
Interp               i1 1 1 d2 j 0=2 1=4.000000e+00 2=4.000000e+00
BinaryOp             o0 1 1 j k 0=2 1=1 2=5.000000e-01
BinaryOp             o1 2 1 h i l 0=0
BinaryOp             o2 2 1 l k output 0=1
"""


def main() -> None:
    folder = Path(__file__).parent
    random = np.random.default_rng(1)
    shapes = {"c0": (6, 3, 3, 3), "c0.b": (6,), "p0": (6,), "c1": (6, 1, 3, 3), "c2": (48, 12, 3, 1), "c2.b": (48,)}
    weights = {name: random.normal(size=shape, scale=0.3).astype(np.float16).astype("<f4") for name, shape in shapes.items()}
    single, half = b"", b""
    for name, value in weights.items():
        if "." in name or name == "p0":
            single, half = single + value.tobytes(), half + value.tobytes()
        else:
            raw = value.astype("<f2").tobytes()
            single += np.uint32(0).tobytes() + value.tobytes()
            half += np.uint32(0x01306B47).tobytes() + raw + b"\0" * (-len(raw) % 4)
    (folder / "single.bin").write_bytes(single)
    (folder / "half.bin").write_bytes(half)
    (folder / "net.param").write_text(f"7767517\n{LINES.count(chr(10))} 24\n{LINES}")
    w = {name: torch.from_numpy(value) for name, value in weights.items()}
    picture = torch.from_numpy(random.random((1, 3, 6, 7)).astype("<f4"))
    b = F.prelu(F.leaky_relu(F.conv2d(picture, w["c0"], w["c0.b"], padding=1), 0.2), w["p0"])
    c = F.relu(F.conv2d(b, w["c1"], None, padding=1, groups=6))
    f = F.conv2d(torch.cat([c, b], 1), w["c2"], w["c2.b"], padding=(1, 0)).clamp(-1.5, 1.25)
    f = F.leaky_relu(f, 0.1)
    nearest, linear = (F.interpolate(picture, scale_factor=4, mode=mode) for mode in ("nearest", "bilinear"))
    result = F.pixel_shuffle(0.2 * f + torch.sigmoid(f), 4) + nearest - 0.5 * linear
    (folder / "picture.f32").write_bytes(picture.numpy().tobytes())
    (folder / "result.f32").write_bytes(result.numpy().astype("<f4").tobytes())


if __name__ == "__main__":
    main()
