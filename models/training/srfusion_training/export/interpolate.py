"""Network interpolation (Wang et al., "Deep network interpolation for continuous imagery effect transition", CVPR 2019)."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper


def _outline(model: onnx.ModelProto) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    return [(node.op_type, tuple(node.input), tuple(node.output)) for node in model.graph.node]


def interpolated(first: onnx.ModelProto, second: onnx.ModelProto, amount: float) -> onnx.ModelProto:
    """The network with weights (1 - amount) first + amount second. ValueError if the two are not of one architecture, or quantised:
    a copy in eight bits is made of the result instead."""
    if any(node.op_type in ("QuantizeLinear", "DequantizeLinear") for model in (first, second) for node in model.graph.node):
        raise ValueError("eight-bit files cannot be interpolated; do it with the float32 files and quantise the result")
    if _outline(first) != _outline(second):
        raise ValueError(f"the two are not of one architecture: {len(first.graph.node)} and {len(second.graph.node)} nodes, or others of them")
    other = {item.name: numpy_helper.to_array(item) for item in second.graph.initializer}
    result = onnx.ModelProto()
    result.CopyFrom(first)
    for item in result.graph.initializer:
        value = numpy_helper.to_array(item)
        if item.name not in other or other[item.name].shape != value.shape:
            raise ValueError(f"the second has no weight '{item.name}' of shape {value.shape}: the two are not of one architecture")
        if item.data_type in (TensorProto.FLOAT, TensorProto.FLOAT16):
            mixed = (1.0 - amount) * value.astype(np.float64) + amount * other[item.name].astype(np.float64)
            item.CopyFrom(numpy_helper.from_array(mixed.astype(value.dtype), item.name))
        elif not np.array_equal(value, other[item.name]):
            raise ValueError(f"'{item.name}' differs between the two: they are not of one architecture")
    del result.metadata_props[:]
    return result
