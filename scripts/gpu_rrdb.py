"""Write an ESRGAN generator (RRDB, 23 blocks, x4) with random weights as an ONNX file: a network of the size that GPUs are for.

    python scripts/gpu_rrdb.py FILE

Needs ``onnx`` and ``numpy``. Used by scripts/gpu-check; what it draws is noise.
"""

import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

BLOCKS, CHANNELS, GROWTH = 23, 64, 32


def main() -> None:
    random = np.random.default_rng(1)
    nodes, weights = [], []

    def add(operator, inputs, **attributes):
        name = f"t{len(nodes)}"
        nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def constant(values):
        name = f"w{len(weights)}"
        weights.append(numpy_helper.from_array(np.asarray(values, dtype=np.float32), name))
        return name

    def conv(x, inputs, outputs, active=True):
        kernel = random.normal(0.0, 0.3 / np.sqrt(9 * inputs), (outputs, inputs, 3, 3))
        y = add("Conv", [x, constant(kernel), constant(np.zeros(outputs))], kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        return add("LeakyRelu", [y], alpha=0.2) if active else y

    def scaled(x, y):
        return add("Add", [x, add("Mul", [y, share])])

    share = constant(0.2)
    first = conv("input", 3, CHANNELS, active=False)
    x = first
    for _ in range(BLOCKS):
        block = x
        for _ in range(3):
            dense = [block]
            for growth in range(4):
                joined = add("Concat", dense, axis=1) if growth else block
                dense.append(conv(joined, CHANNELS + growth * GROWTH, GROWTH))
            block = scaled(block, conv(add("Concat", dense, axis=1), CHANNELS + 4 * GROWTH, CHANNELS, active=False))
        x = scaled(x, block)
    x = add("Add", [first, conv(x, CHANNELS, CHANNELS, active=False)])
    for _ in range(2):
        sizes = constant([1.0, 1.0, 2.0, 2.0])
        x = conv(add("Resize", [x, "", sizes], mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"), CHANNELS, CHANNELS)
    x = conv(conv(x, CHANNELS, CHANNELS), CHANNELS, 3, active=False)
    nodes.append(helper.make_node("Add", [x, constant(0.5)], ["output"]))

    def port(name, scale):
        sides = [f"{scale}{side}" if scale else side for side in ("height", "width")]
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, *sides])

    graph = helper.make_graph(nodes, "rrdb", [port("input", "")], [port("output", "4")], weights)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], producer_name="srfusion-gpu-check")
    made.ir_version = 8
    onnx.checker.check_model(made)
    onnx.save(made, sys.argv[1])


if __name__ == "__main__":
    main()
