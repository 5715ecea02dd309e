"""ncnn's files become the network that they describe."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from srfusion_training.__main__ import main
from srfusion_training.export.session import session
from srfusion_training.importers import ncnn

LINES = """\
Input            in    0 1 data
Split            s0    1 3 data d0 d1 d2
Convolution      c0    1 1 d0 a 0=6 1=3 4=1 5=1 6=162 9=2 -23310=1,2.000000e-01
PReLU            p0    1 1 a b 0=6
Split            s1    1 2 b b0 b1
ConvolutionDepthWise c1 1 1 b0 c 0=6 1=3 4=1 5=0 6=54 7=6 9=1
Concat           k0    2 1 c b1 e
Convolution      c2    1 1 e f 0=48 1=1 5=1 6=576
Eltwise          e0    2 1 f f g 0=1 -23301=2,2.000000e-01,1.000000e+00
PixelShuffle     x0    1 1 g h 0=4
Interp           i0    1 1 d1 i 0=1 1=4.000000e+00 2=4.000000e+00
Interp           i1    1 1 d2 j 0=2 1=4.000000e+00 2=4.000000e+00
BinaryOp         o0    1 1 j k 0=2 1=1 2=5.000000e-01
BinaryOp         o1    2 1 h i l 0=0
BinaryOp         o2    2 1 l k output 0=1
"""


def written(folder: Path, lines: str = LINES, half: bool = True, more: bytes = b"") -> tuple[Path, dict[str, torch.Tensor]]:
    """A .param and a .bin with random weights, and these weights."""
    random = np.random.default_rng(1)
    shapes = {"c0": (6, 3, 3, 3), "c0.b": (6,), "p0": (6,), "c1": (6, 1, 3, 3), "c2": (48, 12, 1, 1), "c2.b": (48,)}
    weights = {name: random.normal(size=shape, scale=0.3).astype(np.float16).astype(np.float32) for name, shape in shapes.items()}
    data = b""
    for name, value in weights.items():
        if "." in name or name == "p0":
            data += value.tobytes()
        elif half:
            raw = value.astype("<f2").tobytes()
            data += np.uint32(0x01306B47).tobytes() + raw + b"\0" * (-len(raw) % 4)
        else:
            data += np.uint32(0).tobytes() + value.tobytes()
    (folder / "net.bin").write_bytes(data + more)
    (folder / "net.param").write_text(f"7767517\n{lines.count(chr(10))} 20\n{lines}")
    return folder / "net.param", {name: torch.from_numpy(value) for name, value in weights.items()}


def reference(w: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    b = F.prelu(F.leaky_relu(F.conv2d(x, w["c0"], w["c0.b"], padding=1), 0.2), w["p0"])
    c = F.relu(F.conv2d(b, w["c1"], None, padding=1, groups=6))
    f = F.conv2d(torch.cat([c, b], 1), w["c2"], w["c2.b"])
    nearest, linear = (F.interpolate(x, scale_factor=4, mode=mode) for mode in ("nearest", "bilinear"))
    return F.pixel_shuffle(0.2 * f + f, 4) + nearest - 0.5 * linear


@pytest.mark.parametrize("half", [True, False])
def test_layers_compute_what_ncnn_says(tmp_path: Path, half: bool) -> None:
    param, weights = written(tmp_path, half=half)
    model, count = ncnn.read(param, "net")
    assert count == sum(value.numel() for value in weights.values())
    x = torch.rand(1, 3, 9, 11)
    found = session(model).run(["output"], {"input": x.numpy()})[0]
    assert np.abs(found - reference(weights, x).numpy()).max() < 1e-5


def test_the_command_converts_and_records(tmp_path: Path) -> None:
    param, _ = written(tmp_path)
    command = ["convert", str(param), "--name", "net-x4", "--licence", "MIT", "--trained-on", "nothing", "--models", str(tmp_path / "models")]
    assert main(command) == 0
    assert "receptive-radius = 2" in (tmp_path / "models" / "models.toml").read_text()
    onnxruntime.InferenceSession(str(tmp_path / "models" / "net-x4.onnx"), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize(
    "lines, more, said",
    [
        (LINES.replace("PReLU  ", "Softmax"), b"", "layer Softmax .* is not known; known are BinaryOp"),
        (LINES, b"\0\0\0\0", "describes"),
        (LINES.replace("6=162", "6=162000"), b"", "does not belong to the .param"),
        (LINES.replace("6=162 ", "6=162 8=1 "), b"", "quantised by ncnn"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, lines: str, more: bytes, said: str) -> None:
    param, _ = written(tmp_path, lines, more=more)
    with pytest.raises(ValueError, match=said):
        ncnn.read(param, "net")


def test_other_files_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net.param").write_text("hello\n")
    with pytest.raises(FileNotFoundError, match="net.bin"):
        ncnn.read(tmp_path / "net.param", "net")
    (tmp_path / "net.bin").write_bytes(b"")
    with pytest.raises(ValueError, match="begin with 7767517"):
        ncnn.read(tmp_path / "net.param", "net")
    param, _ = written(tmp_path, LINES.replace("0=4\nInterp", "0=2\nInterp").replace("0=48 1=1 5=1 6=576", "0=12 1=1 5=1 6=144").replace("4.0", "2.0"))
    command = ["convert", str(param), "--name", "n", "--licence", "MIT", "--trained-on", "nothing", "--models", str(tmp_path)]
    assert main(command) == 1
    assert capsys.readouterr().err
