"""ONNX graphs written node by node: nothing is traced, sizes are free, and the weights are inside the file."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from .. import __version__
from ..nets.rrdb import RESIDUAL, RRDB, SLOPE
from ..nets.srvgg import Compact

OPSET = 17
#: IR version of ONNX 1.12, the release that brought opset 17; newer ones are refused by older runtimes.
IR_VERSION = 8
SCALE = 4


class Graph:
    """Collects nodes and weights; :meth:`model` makes the file's content.

    The input is ``input`` f32[n, planes, h, w], the output ``output`` f32[n, planes, 4h, 4w], in 0..1, not clamped.
    """

    def __init__(self, name: str, planes: int = 3) -> None:
        self.name, self.planes = name, planes
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, onnx.TensorProto] = {}

    def constant(self, key: str, value: np.ndarray) -> str:
        """Put ``value`` into the file as ``key``, once."""
        if key not in self.weights:
            self.weights[key] = numpy_helper.from_array(np.ascontiguousarray(value), key)
        return key

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Append an operation; returns the name of its output."""
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def convolution(self, layer: nn.Conv2d, source: str, key: str) -> str:
        """A 3x3 convolution with zero padding."""
        kernel = self.constant(f"{key}.weight", layer.weight.detach().cpu().float().numpy())
        inputs = [source, kernel]
        if layer.bias is not None:
            inputs.append(self.constant(f"{key}.bias", layer.bias.detach().cpu().float().numpy()))
        return self.node("Conv", inputs, key, kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 1])

    def scaled(self, source: str, factor: float, output: str) -> str:
        """``source`` times a number."""
        return self.node("Mul", [source, self.constant(f"by {factor}", np.array(factor, dtype=np.float32))], output)

    def nearest(self, source: str, factor: int, output: str) -> str:
        """Enlarge both sides by repeating samples."""
        scales = self.constant(f"scales {factor}", np.array([1.0, 1.0, factor, factor], dtype=np.float32))
        return self.node(
            "Resize", [source, "", scales], output, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"
        )

    def model(self) -> onnx.ModelProto:
        """The checked graph."""
        graph = helper.make_graph(
            self.nodes,
            self.name,
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", self.planes, "h", "w"])],
            [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["n", self.planes, "h4", "w4"])],
            list(self.weights.values()),
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="srfusion_training",
            producer_version=__version__,
        )
        onnx.checker.check_model(model, full_check=True)
        return model


def rrdb(network: RRDB, name: str) -> onnx.ModelProto:
    """The graph of ESRGAN's generator."""
    g = Graph(name)

    def leaky(source: str) -> str:
        return g.node("LeakyRelu", [source], f"{source}.lrelu", alpha=SLOPE)

    features = y = g.convolution(network.conv_first, "input", "conv_first")
    for index, block in enumerate(network.body):
        entry = y
        for part in ("rdb1", "rdb2", "rdb3"):
            dense, key, seen = getattr(block, part), f"body.{index}.{part}", [y]
            for number in range(1, 5):
                source = seen[0] if number == 1 else g.node("Concat", seen, f"{key}.seen{number}", axis=1)
                seen.append(leaky(g.convolution(getattr(dense, f"conv{number}"), source, f"{key}.conv{number}")))
            last = g.convolution(dense.conv5, g.node("Concat", seen, f"{key}.seen5", axis=1), f"{key}.conv5")
            y = g.node("Add", [y, g.scaled(last, RESIDUAL, f"{key}.scaled")], key)
        y = g.node("Add", [entry, g.scaled(y, RESIDUAL, f"body.{index}.scaled")], f"body.{index}")
    y = g.node("Add", [features, g.convolution(network.conv_body, y, "conv_body")], "sum")
    for key in ("conv_up1", "conv_up2"):
        y = leaky(g.convolution(getattr(network, key), g.nearest(y, 2, f"{key}.larger"), key))
    y = leaky(g.convolution(network.conv_hr, y, "conv_hr"))
    g.convolution(network.conv_last, y, "output")
    return g.model()


def compact(network: Compact, name: str) -> onnx.ModelProto:
    """The graph of SRVGGNetCompact."""
    g = Graph(name)
    y = "input"
    for index, layer in enumerate(network.body):
        if isinstance(layer, nn.Conv2d):
            y = g.convolution(layer, y, f"body.{index}")
        elif isinstance(layer, nn.PReLU):
            slope = g.constant(f"body.{index}.weight", layer.weight.detach().cpu().float().numpy().reshape(-1, 1, 1))
            y = g.node("PRelu", [y, slope], f"body.{index}")
        elif isinstance(layer, nn.LeakyReLU):
            y = g.node("LeakyRelu", [y], f"body.{index}", alpha=layer.negative_slope)
        else:
            y = g.node("Relu", [y], f"body.{index}")
    detail = g.node("DepthToSpace", [y], "detail", blocksize=SCALE, mode="CRD")
    g.node("Add", [detail, g.nearest("input", SCALE, "larger")], "output")
    return g.model()


def to_fp16(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy that computes in 16-bit floats: weights are stored so, and the input and output are cast from and to 32 bits, so
    that the contract stays the same. The scales of ``Resize`` stay 32-bit, as the operation demands."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    kept = {name for node in graph.node if node.op_type == "Resize" for name in node.input[1:]}
    for weight in graph.initializer:
        if weight.data_type == TensorProto.FLOAT and weight.name not in kept:
            value = numpy_helper.to_array(weight)
            if np.abs(value).max(initial=0.0) > 65504.0:
                raise ValueError(f"weight '{weight.name}' has values that 16-bit floats cannot hold")
            weight.CopyFrom(numpy_helper.from_array(value.astype(np.float16), weight.name))
    for node in graph.node:
        for index, name in enumerate(node.input):
            if name == "input":
                node.input[index] = "input.fp16"
        for index, name in enumerate(node.output):
            if name == "output":
                node.output[index] = "output.fp16"
    graph.node.insert(0, helper.make_node("Cast", ["input"], ["input.fp16"], name="input.fp16", to=TensorProto.FLOAT16))
    graph.node.append(helper.make_node("Cast", ["output.fp16"], ["output"], name="output.fp32", to=TensorProto.FLOAT))
    del graph.value_info[:]
    onnx.checker.check_model(result, full_check=True)
    return result
