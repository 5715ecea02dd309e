"""Eight-bit integer copies of generators: ONNX Runtime's static quantisation, with 8-bit samples in and out.

Activations are uint8 with one scale a tensor, weights int8 with one scale an output channel (QDQ format). Scales come from
low-resolution patches that the float network is run on, or from training where that was done with the rounding (:func:`trained_ranges`). The first scale is that of the samples themselves, 1/255 (0 is 0), and so
is the last, so that the file takes and gives samples as frames hold them and nothing is converted on the way:

    input uint8[n, c, h, w] -> output uint8[n, c, 4h, 4w]

Values of a float network outside 0..1 saturate there, as a frame's would. A network whose tensors are not 0..1 is refused.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from .quick import quick

#: How the calibrated range of an activation is taken from its values.
METHODS = {"minmax": CalibrationMethod.MinMax, "percentile": CalibrationMethod.Percentile, "entropy": CalibrationMethod.Entropy}


class _Patches(CalibrationDataReader):
    """Feeds f32 patches to ONNX Runtime's calibration, one at a time."""

    def __init__(self, name: str, patches: Sequence[np.ndarray]) -> None:
        self.feeds = iter([{name: patch} for patch in patches])

    def get_next(self) -> dict[str, np.ndarray] | None:  # type: ignore[override]
        """The next feed, None at the end."""
        return next(self.feeds, None)


def _source_of_output(model: onnx.ModelProto) -> str:
    """The tensor whose rounding decides the output: the output itself, or what it is a mere copy of."""
    makers = {name: node for node in model.graph.node for name in node.output}
    name = model.graph.output[0].name
    while makers[name].op_type in ("DepthToSpace", "Reshape", "Transpose"):
        name = makers[name].input[0]
    return name


#: Key of a file's metadata with the ranges that its network was trained with.
RANGES = "srfusion.ranges"


def with_ranges(model: onnx.ModelProto, ranges: dict[str, list[float]]) -> onnx.ModelProto:
    """The model with ``ranges`` (activation -> [least, greatest]) in its metadata; without any it is left as it is."""
    if ranges:
        model.metadata_props.add(key=RANGES, value=json.dumps(ranges))
    return model


def trained_ranges(model: onnx.ModelProto) -> dict[str, list[float]]:
    """What :func:`with_ranges` wrote; empty where the network was not trained with eight bits."""
    return next((json.loads(item.value) for item in model.metadata_props if item.key == RANGES), {})


def quantised(
    model: onnx.ModelProto,
    patches: Sequence[np.ndarray],
    method: str = "minmax",
    samples: bool = True,
) -> onnx.ModelProto:
    """An eight-bit copy of a float generator.

    ``patches`` f32[1, c, h, w] in 0..1, the low-resolution inputs that scales are measured on. With ``samples`` the file takes and
    gives uint8, else float32 as the original does (and converts inside). ValueError if there is nothing to calibrate on.
    """
    if not patches:
        raise ValueError("there are no patches to calibrate on")
    if method not in METHODS:
        raise ValueError(f"there is no calibration '{method}'; there are {', '.join(METHODS)}")
    if method != "minmax":  # histograms are made of patches of one size
        height, width = (min(patch.shape[axis] for patch in patches) for axis in (2, 3))
        patches = [np.ascontiguousarray(patch[..., :height, :width]) for patch in patches]
    source = model.graph.input[0].name
    last = _source_of_output(model)
    made = {name for node in model.graph.node for name in node.output}
    trained = {name: {"rmin": np.float32(low), "rmax": np.float32(high)} for name, (low, high) in trained_ranges(model).items() if name in made}
    sample = {"scale": np.array(1.0 / 255.0, np.float32), "zero_point": np.array(0, np.uint8)}
    with tempfile.TemporaryDirectory(prefix="srfusion-int8-") as folder:
        before, after = Path(folder, "float.onnx"), Path(folder, "int8.onnx")
        onnx.save(model, str(before))
        quantize_static(
            str(before), str(after), _Patches(source, patches), quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, calibrate_method=METHODS[method],
            extra_options={"TensorQuantOverrides": {**{n: [r] for n, r in trained.items()}, source: [sample], last: [sample]}},
        )  # fmt: skip
        result = onnx.load(str(after))
    return quick(with_samples(result)) if samples else result


def with_samples(model: onnx.ModelProto) -> onnx.ModelProto:
    """A quantised network that takes and gives uint8 samples: the first QuantizeLinear and the last DequantizeLinear are left out.

    ValueError if the scale of either is not that of samples, or the graph does not begin and end with them.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    constants = {item.name: onnx.numpy_helper.to_array(item) for item in graph.initializer}

    def check(node: onnx.NodeProto) -> None:
        scale = constants[node.input[1]]
        zero = constants[node.input[2]] if len(node.input) > 2 else np.zeros(1)
        if scale.size != 1 or abs(float(scale.ravel()[0]) * 255.0 - 1.0) > 1e-5 or float(np.ravel(zero)[0]) != 0.0:
            raise ValueError(f"'{node.name}' has scale {scale} and zero point {zero}, not 1/255 and 0 as samples have")

    name = graph.input[0].name
    first = [node for node in graph.node if name in node.input]
    if len(first) != 1 or first[0].op_type != "QuantizeLinear":
        kinds = ", ".join(node.op_type for node in first)
        raise ValueError(f"the input goes to {kinds}, not to one QuantizeLinear: it cannot be given samples")
    check(first[0])
    for node in graph.node:
        for index, given in enumerate(node.input):
            if given == first[0].output[0]:
                node.input[index] = name
    graph.node.remove(first[0])

    makers = {made: node for node in graph.node for made in node.output}
    copies, name = [], graph.output[0].name
    while makers[name].op_type in ("DepthToSpace", "Reshape", "Transpose"):
        copies.append(makers[name])
        name = makers[name].input[0]
    last = makers[name]
    if last.op_type != "DequantizeLinear":
        raise ValueError(f"the output comes from {last.op_type}, not from DequantizeLinear: it cannot be given as samples")
    check(last)
    if copies:
        copies[-1].input[0] = last.input[0]
    else:
        for node in graph.node:
            for index, made in enumerate(node.output):
                if made == last.input[0]:
                    node.output[index] = name
    graph.node.remove(last)
    for value in (graph.input[0], graph.output[0]):
        value.type.tensor_type.elem_type = TensorProto.UINT8
    del graph.value_info[:]
    onnx.checker.check_model(result, full_check=True)
    return result
