"""ncnn's files (``NAME.param``, text, and ``NAME.bin``, weights) turned into ONNX, layer by layer.

Layers that super-resolution networks use are known (:data:`LAYERS`); a file with another one is refused by name. Weights are 32-bit or
16-bit floats, as ncnn stores them; networks quantised by ncnn are refused.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from ..export.graph import Graph

MAGIC = "7767517"
#: In front of a layer's weights: how they are stored.
_FLOAT32, _FLOAT16 = 0, 0x01306B47

Parameters = dict[int, Any]


class _Weights:
    """The .bin file, read from front to back."""

    def __init__(self, file: Path) -> None:
        self.file, self.data, self.at = file, file.read_bytes(), 0

    def _take(self, size: int, kind: Any) -> np.ndarray:
        count = size * np.dtype(kind).itemsize
        if self.at + count > len(self.data):
            raise ValueError(f"{self.file}: ends after {len(self.data)} bytes, {self.at + count} are needed: it does not belong to the .param")
        values = np.frombuffer(self.data, kind, size, self.at)
        self.at += count
        return values

    def plain(self, size: int) -> np.ndarray:
        """f32[size], stored as they are (biases, slopes)."""
        return self._take(size, "<f4").astype(np.float32)

    def tagged(self, size: int, layer: str) -> np.ndarray:
        """f32[size] behind a tag that says how they are stored (kernels)."""
        tag = int(self._take(1, "<u4")[0])
        if tag == _FLOAT32:
            return self.plain(size)
        if tag != _FLOAT16:
            raise ValueError(f"{self.file}: the weights of {layer} are stored as {tag:#010x}; 32-bit and 16-bit floats are known")
        values = self._take(size, "<f2").astype(np.float32)
        self.at = (self.at + 3) // 4 * 4
        return values


def _parameters(fields: list[str], layer: str) -> Parameters:
    """``0=64 -23301=2,0.2,1`` -> {0: 64, 1: [0.2, 1.0]}; keys at and below -23300 are arrays that begin with their length."""
    result: Parameters = {}
    for field in fields:
        key, _, value = field.partition("=")
        try:
            number = int(key)
            if number <= -23300:
                result[-23300 - number] = [float(item) for item in value.split(",")[1:]]
            else:
                result[number] = float(value) if any(mark in value for mark in ".e") else int(value)
        except ValueError as error:
            raise ValueError(f"{layer}: '{field}' is no parameter of ncnn") from error
    return result


class _Builder:
    """Turns layers into nodes of an ONNX graph."""

    def __init__(self, name: str, weights: _Weights) -> None:
        self.graph, self.weights = Graph(name), weights

    def activation(self, source: str, key: str, p: Parameters, output: str) -> str:
        """The activation that ncnn merged into a layer, from its parameters 9 and 10."""
        kind, values = p.get(9, 0), p.get(10, [])
        if kind == 0:
            return self.graph.node("Identity", [source], output)
        if kind == 1:
            return self.graph.node("Relu", [source], output)
        if kind == 2:
            return self.graph.node("LeakyRelu", [source], output, alpha=values[0])
        if kind == 3:
            low, high = (self.graph.constant(f"{key}.{end}", np.array(v, np.float32)) for end, v in zip(("low", "high"), values))
            return self.graph.node("Clip", [source, low, high], output)
        if kind == 4:
            return self.graph.node("Sigmoid", [source], output)
        raise ValueError(f"{key}: activation {kind} is not known")

    def convolution(self, key: str, inputs: list[str], outputs: list[str], p: Parameters) -> None:
        """Convolution and ConvolutionDepthWise."""
        if p.get(8, 0):
            raise ValueError(f"{key}: its weights are quantised by ncnn; give the network in floats")
        count, wide, group = p[0], p[1], p.get(7, 1)
        tall = p.get(11, wide)
        inputs_each = p[6] // (count * tall * wide)
        kernel = self.weights.tagged(p[6], key).reshape(count, inputs_each, tall, wide)
        names = [inputs[0], self.graph.constant(f"{key}.weight", kernel)]
        if p.get(5, 0):
            names.append(self.graph.constant(f"{key}.bias", self.weights.plain(count)))
        left = p.get(4, 0)
        top, right = p.get(14, left), p.get(15, left)
        bottom = p.get(16, top)
        if min(left, top, right, bottom) < 0:
            raise ValueError(f"{key}: pads that ncnn computes (-233, -234) are not supported")
        made = self.graph.node(
            "Conv", names, f"{key}.sum", kernel_shape=[tall, wide], pads=[top, left, bottom, right],
            strides=[p.get(13, p.get(3, 1)), p.get(3, 1)], dilations=[p.get(12, p.get(2, 1)), p.get(2, 1)], group=group,
        )  # fmt: skip
        self.activation(made, key, p, outputs[0])

    def prelu(self, key: str, inputs: list[str], outputs: list[str], p: Parameters) -> None:
        """PReLU, one slope a channel or one in all."""
        slope = self.weights.plain(p[0]).reshape(-1, 1, 1)
        self.graph.node("PRelu", [inputs[0], self.graph.constant(f"{key}.slope", slope)], outputs[0])

    def relu(self, key: str, inputs: list[str], outputs: list[str], p: Parameters) -> None:
        """ReLU, leaky where it has a slope."""
        slope = float(p.get(0, 0.0))
        self.graph.node("LeakyRelu", inputs, outputs[0], alpha=slope) if slope else self.graph.node("Relu", inputs, outputs[0])

    def split(self, key: str, inputs: list[str], outputs: list[str], p: Parameters) -> None:
        """One tensor under several names."""
        for output in outputs:
            self.graph.node("Identity", inputs, output)

    def concat(self, key: str, inputs: list[str], outputs: list[str], p: Parameters) -> None:
        """Along ncnn's axis, which does not count the batch."""
        axis = p.get(0, 0)
        self.graph.node("Concat", inputs, outputs[0], axis=axis + 1 if axis >= 0 else axis)

    def eltwise(self, key: str, inputs: list[str], outputs: list[str], p: Parameters) -> None:
        """Product, weighted sum or maximum of several tensors."""
        kind, factors = p.get(0, 0), p.get(1, [])
        if factors and kind == 1:
            inputs = [
                name if factor == 1.0 else self.graph.scaled(name, factor, f"{key}.term{index}")
                for index, (name, factor) in enumerate(zip(inputs, factors))
            ]
        self._fold({0: "Mul", 1: "Add", 2: "Max"}[kind], key, inputs, outputs[0])

    def _fold(self, operation: str, key: str, inputs: list[str], output: str) -> None:
        total = inputs[0]
        for index, name in enumerate(inputs[1:], 1):
            total = self.graph.node(operation, [total, name], output if index == len(inputs) - 1 else f"{key}.{index}")

    def binary(self, key: str, inputs: list[str], outputs: list[str], p: Parameters) -> None:
        """Two tensors, or a tensor and a number."""
        kinds = {0: "Add", 1: "Sub", 2: "Mul", 3: "Div", 4: "Max", 5: "Min"}
        if p.get(0, 0) not in kinds:
            raise ValueError(f"{key}: operation {p[0]} of BinaryOp is not known")
        if p.get(1, 0):
            inputs = [inputs[0], self.graph.constant(f"{key}.number", np.array(p.get(2, 0.0), np.float32))]
        self.graph.node(kinds[p.get(0, 0)], inputs, outputs[0])

    def interpolation(self, key: str, inputs: list[str], outputs: list[str], p: Parameters) -> None:
        """Enlarging by whole factors, nearest neighbour or bilinear with half-pixel centres."""
        tall, wide = float(p.get(1, 1.0)), float(p.get(2, 1.0))
        if p.get(0, 0) not in (1, 2) or tall < 1.0 or tall != int(tall) or wide != tall:
            raise ValueError(f"{key}: Interp of kind {p.get(0)} by {tall} x {wide} is not supported, only nearest or bilinear by a whole factor")
        if p[0] == 1:
            self.graph.nearest(inputs[0], int(tall), outputs[0])
            return
        scales = self.graph.constant(f"{key}.scales", np.array([1.0, 1.0, tall, wide], np.float32))
        self.graph.node(
            "Resize", [inputs[0], "", scales], outputs[0], mode="linear",
            coordinate_transformation_mode="align_corners" if p.get(6, 0) else "half_pixel",
        )  # fmt: skip

    def shuffle(self, key: str, inputs: list[str], outputs: list[str], p: Parameters) -> None:
        """PixelShuffle."""
        self.graph.node("DepthToSpace", inputs, outputs[0], blocksize=p[0], mode="DCR" if p.get(1, 0) else "CRD")

    def sigmoid(self, key: str, inputs: list[str], outputs: list[str], p: Parameters) -> None:
        """Sigmoid."""
        self.graph.node("Sigmoid", inputs, outputs[0])


#: ncnn's layer -> the method of :class:`_Builder` that turns it into nodes: (name, inputs, outputs, parameters).
LAYERS: dict[str, Callable[..., None]] = {
    "BinaryOp": _Builder.binary,
    "Concat": _Builder.concat,
    "Convolution": _Builder.convolution,
    "ConvolutionDepthWise": _Builder.convolution,
    "Eltwise": _Builder.eltwise,
    "Interp": _Builder.interpolation,
    "PReLU": _Builder.prelu,
    "PixelShuffle": _Builder.shuffle,
    "ReLU": _Builder.relu,
    "Sigmoid": _Builder.sigmoid,
    "Split": _Builder.split,
}


def read(param: Path, name: str) -> tuple[onnx.ModelProto, int]:
    """(graph, number of weights) of ``param`` and the .bin beside it: ``input`` f32[n, 3, h, w] -> ``output``.

    ValueError if the file is not ncnn's, holds layers that are not known, or does not fit its weights.
    """
    weights_file = param.with_suffix(".bin")
    for file in (param, weights_file):
        if not file.exists():
            raise FileNotFoundError(f"{file}: no such file; ncnn's networks are a .param and a .bin of one name")
    lines = param.read_text(encoding="utf-8", errors="replace").split("\n")
    if lines[0].strip() != MAGIC:
        raise ValueError(f"{param}: does not begin with {MAGIC}, as ncnn's .param files do")
    builder = _Builder(name, _Weights(weights_file))
    aliases: dict[str, str] = {}
    last = ""
    for line in filter(None, (line.strip() for line in lines[2:])):
        kind, key, inputs_count, outputs_count, *fields = line.split()
        first, second = int(inputs_count), int(inputs_count) + int(outputs_count)
        inputs, outputs = [aliases.get(field, field) for field in fields[:first]], fields[first:second]
        if kind == "Input":
            aliases[outputs[0]] = "input"
            continue
        if kind not in LAYERS:
            raise ValueError(f"{param}: layer {kind} ('{key}') is not known; known are {', '.join(LAYERS)}")
        LAYERS[kind](builder, key, inputs, outputs, _parameters(fields[second:], key))
        last = outputs[0]
    if not last:
        raise ValueError(f"{param}: holds no layer")
    if builder.weights.at != len(builder.weights.data):
        raise ValueError(f"{weights_file}: has {len(builder.weights.data)} bytes, the .param describes {builder.weights.at}")
    if last != "output":
        builder.graph.node("Identity", [last], "output")
    count = sum(int(np.prod(item.dims)) for item in builder.graph.weights.values() if item.name.rsplit(".", 1)[-1] in ("weight", "bias", "slope"))
    return builder.graph.model(), count
