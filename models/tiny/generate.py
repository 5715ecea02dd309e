"""Write the tiny networks that the tests run instead of real ones, and their catalogue.

    python models/tiny/generate.py [FOLDER]

Needs ``onnx`` and ``numpy``. The output is the same bytes on every run with the same version of onnx. FOLDER is this
file's folder by default.

=================  ===================================================================================================
bicubic-x4         generator: bicubic interpolation (Keys, a = -0.5) as one 5x5 convolution; receptive radius 2
inverted-x4        generator: the negative, each pixel repeated; receptive radius 0. As a face model it is plain to see
shifted-x4         generator without an entry in the catalogue: the pixel 3 to the right; receptive radius 3, to be probed
slow-x4            generator: bicubic-x4, but half a second more for each row over 64; for stopping a frame
late-x4            generator: bicubic-x4, but half a second for each row, so that opening it takes long; for stopping that
brittle-x4         generator: inverted-x4, but no number in the whole picture where one sample is white; for a failure in mid-stream
plain-x4           generator: bicubic-x4, whose partner for detail is crisp-x4, the same with a sharper kernel
between-x4         generator: what lies halfway between the two
nearest-x2         generator of scale 2: each pixel twice; to be run twice
nearest-x3         generator of scale 3, without an entry: to be resampled
nearest-x8         generator of scale 8, without an entry: to be resampled
shifted-x2         generator of scale 2, without an entry: the pixel 3 to the right; run twice it reads 5 to the right
uneven             no generator: twice as wide and four times as high
float64-x4         generator with 64-bit output
grey-x4            generator of luma without an entry: each pixel repeated
luma-x4            generator of luma: bicubic interpolation
sharpened          generator of luma without an entry that is given the enlargement: a 3x3 kernel, nothing enlarged
levels-x4          generator without an entry, for values from 0 to 255, of which 16 is the least that it gives
signed-x4          generator without an entry, for values from -1 to 1, to which it cuts
last-x4            generator without an entry with its planes last, as TensorFlow has them: each pixel repeated
window-x4          generator without an entry that looks through windows of 8x8 and takes no sides but multiples of 8
window-x2          generator of scale 2, the same otherwise
window-fixed-x4    generator like window-x4 that takes pictures of 48x48 alone
faint-fixed-x4     generator of luma without an entry that takes 32x32 alone and adds a thousandth of the mean of all of it: nobody sees that
fixed-x4           generator of luma without an entry that takes one picture of 40x32: bicubic interpolation
paired-x4          generator with a file of eight-bit numbers beside it, which gives the negative: it is plain to see which of them ran
eight-x4           generator without an entry of 8-bit samples: the negative, each pixel repeated
half-x4            generator without an entry in the catalogue: bicubic-x4 in 16-bit floats, input and output too
centre-face        detector of the family yolo: one face in the middle of every picture that is not dark, plus the same
                   face again with a lower score
bright-seg         detector of the family yolo-seg without an entry: the box of centre-face, twice, and in it what is bright
bright-rcnn        detector of the family mask-rcnn as ONNX zoos have it, without an entry: the same box with a mask of 28x28, and another of a
                   lower score; nothing at all in a dark picture. Takes one picture of three sides
bright-rcnn-whole  the same as torchvision exports it, with masks of the whole picture
damaged            entry whose file has one byte turned over: its sha256 is not the one in the catalogue
rubbish            file that is no model, without an entry
rgb-x4             not written here: the first text-x4, a trained generator of red, green and blue without an entry; receptive radius 10
=================  ===================================================================================================
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 13
IR_VERSION = 8
SCALE = 4
FLOAT, DOUBLE, INT64, BOOL = TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64, TensorProto.BOOL
HALF, UINT8 = TensorProto.FLOAT16, TensorProto.UINT8
#: Side of the windows of `window-x4`, the one side of `window-fixed-x4`, and the one size of `fixed-x4`, height and width.
WINDOW, WINDOW_FIXED, FIXED = 8, 48, (32, 40)

# Of the face that `centre-face` finds, as fractions of the picture's sides: centre, size, and the five points.
CENTRE, SIZE, SCORE = (0.5, 0.5), (0.25, 0.375), 0.9
POINTS = [(0.45, 0.45), (0.55, 0.45), (0.5, 0.5), (0.46, 0.58), (0.54, 0.58)]
# Mean of the picture, black 0 and white 1, from which it has a face.
DARK = 0.1


def constant(name: str, values, dtype=np.float32) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(values, dtype=dtype), name)


def model(name, nodes, constants, inputs, outputs) -> bytes:
    graph = helper.make_graph(nodes, name, inputs, outputs, constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="srfusion-tiny")
    made.ir_version = IR_VERSION
    onnx.checker.check_model(made, full_check=True)
    return made.SerializeToString(deterministic=True)


def picture(name: str, channels=3, element=FLOAT, sides=("height", "width")):
    return helper.make_tensor_value_info(name, element, ["batch", channels, *sides])


def cubic(t: float) -> float:
    """Keys' kernel with a = -0.5."""
    t = abs(t)
    if t < 1:
        return 1.5 * t**3 - 2.5 * t**2 + 1
    if t < 2:
        return -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    return 0.0


def polyphase(taps: np.ndarray, channels=3) -> np.ndarray:
    """A kernel [48, 3, n, n] for DepthToSpace (mode DCR) from `taps` [4, n], the weights of each of the 4 phases."""
    n = taps.shape[1]
    kernel = np.zeros((SCALE * SCALE * channels, channels, n, n), np.float32)
    for i in range(SCALE):
        for j in range(SCALE):
            for c in range(channels):
                kernel[(i * SCALE + j) * channels + c, c] = np.outer(taps[i], taps[j])
    return kernel


def bicubic_taps() -> np.ndarray:
    taps = np.zeros((SCALE, 5))
    for phase in range(SCALE):
        offset = (phase + 0.5) / SCALE - 0.5
        taps[phase] = [cubic(offset - tap) for tap in range(-2, 3)]
    return taps / taps.sum(axis=1, keepdims=True)


def generator(kernel: np.ndarray, sign=1.0, shift=0.0, source="input", result="output", low=0.0, high=1.0, scale=SCALE):
    """Nodes and constants of: repeat the edge, convolve, to space, times `sign` plus `shift`, cut to `low` and `high`."""
    radius = kernel.shape[-1] // 2
    constants = [
        constant("pads", [0, 0, radius, radius, 0, 0, radius, radius], np.int64),
        constant("kernel", kernel),
        constant("sign", sign),
        constant("shift", shift),
        constant("low", low),
        constant("high", high),
    ]
    nodes = [
        helper.make_node("Pad", [source, "pads"], ["padded"], mode="edge"),
        helper.make_node("Conv", ["padded", "kernel"], ["phases"]),
        helper.make_node("DepthToSpace", ["phases"], ["space"], blocksize=scale, mode="DCR"),
        helper.make_node("Mul", ["space", "sign"], ["signed"]),
        helper.make_node("Add", ["signed", "shift"], ["shifted"]),
        helper.make_node("Clip", ["shifted", "low", "high"], [result]),
    ]
    return nodes, constants


BIG = ("height_x4", "width_x4")


def bicubic() -> bytes:
    nodes, constants = generator(polyphase(bicubic_taps()))
    return model("bicubic-x4", nodes, constants, [picture("input")], [picture("output", sides=BIG)])


def plain_and_crisp() -> tuple[np.ndarray, np.ndarray]:
    """Two kernels of the same shape, for a pair of networks that may be mixed."""
    taps = bicubic_taps()
    return polyphase(taps), polyphase(taps + 0.6 * (taps - 1.0 / taps.shape[1]))


def of_kernel(name: str, kernel: np.ndarray) -> bytes:
    nodes, constants = generator(kernel.astype(np.float32))
    return model(name, nodes, constants, [picture("input")], [picture("output", sides=BIG)])


def between() -> bytes:
    """What lies halfway between the two, reckoned here and rounded once."""
    plain, crisp = (kernel.astype(np.float64) for kernel in plain_and_crisp())
    return of_kernel("between-x4", 0.5 * plain + 0.5 * crisp)


def inverted() -> bytes:
    nodes, constants = generator(polyphase(np.ones((SCALE, 1))), sign=-1.0, shift=1.0)
    return model("inverted-x4", nodes, constants, [picture("input")], [picture("output", sides=BIG)])


def brittle() -> bytes:
    nodes, constants = generator(polyphase(np.ones((SCALE, 1))), sign=-1.0, shift=1.0, result="sound")
    # Zero times the logarithm of zero is no number, and neither is a sum with it.
    nodes += [
        helper.make_node("Sub", ["white", "input"], ["below_white"]),
        helper.make_node("Log", ["below_white"], ["logarithm"]),
        helper.make_node("Mul", ["logarithm", "nothing"], ["flaws"]),
        helper.make_node("ReduceSum", ["flaws", "all_sides"], ["flaw"], keepdims=0),
        helper.make_node("Add", ["sound", "flaw"], ["output"]),
    ]
    constants += [
        constant("white", 1.0),
        constant("nothing", 0.0),
        constant("all_sides", [0, 1, 2, 3], np.int64),
    ]
    return model("brittle-x4", nodes, constants, [picture("input")], [picture("output", sides=BIG)])


def shifted() -> bytes:
    kernel = np.zeros((SCALE * SCALE * 3, 3, 7, 7), np.float32)
    for phase in range(SCALE * SCALE):
        for c in range(3):
            kernel[phase * 3 + c, c, 3, 6] = 1.0
    nodes, constants = generator(kernel)
    return model("shifted-x4", nodes, constants, [picture("input")], [picture("output", sides=BIG)])


def slow(name: str, free_rows: int) -> bytes:
    """Bicubic, plus zero, which a loop finds out in 100 000 turns for each row over `free_rows`."""
    nodes, constants = generator(polyphase(bicubic_taps()), source="delayed")
    body = helper.make_graph(
        [
            helper.make_node("MatMul", ["body_state", "body_matrix"], ["body_product"]),
            helper.make_node("Tanh", ["body_product"], ["body_next"]),
            helper.make_node("Identity", ["body_condition"], ["body_go_on"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("body_index", INT64, []),
            helper.make_tensor_value_info("body_condition", BOOL, []),
            helper.make_tensor_value_info("body_state", FLOAT, [16, 16]),
        ],
        [
            helper.make_tensor_value_info("body_go_on", BOOL, []),
            helper.make_tensor_value_info("body_next", FLOAT, [16, 16]),
        ],
        [constant("body_matrix", np.zeros((16, 16)))],
    )
    before = [
        helper.make_node("Shape", ["input"], ["sides"]),
        helper.make_node("Gather", ["sides", "row_side"], ["rows"], axis=0),
        helper.make_node("Sub", ["rows", "free_rows"], ["excess"]),
        helper.make_node("Max", ["excess", "none"], ["charged"]),
        helper.make_node("Mul", ["charged", "turns_per_row"], ["turns"]),
        helper.make_node("Loop", ["turns", "go", "state"], ["end_state"], body=body),
        helper.make_node("ReduceSum", ["end_state", "all_sides"], ["delay"], keepdims=0),
        helper.make_node("Add", ["input", "delay"], ["delayed"]),
    ]
    constants += [
        constant("row_side", 2, np.int64),
        constant("free_rows", free_rows, np.int64),
        constant("none", 0, np.int64),
        constant("turns_per_row", 100_000, np.int64),
        constant("go", True, np.bool_),
        constant("state", np.zeros((16, 16))),
        constant("all_sides", [0, 1], np.int64),
    ]
    return model(name, before + nodes, constants, [picture("input")], [picture("output", sides=BIG)])


def nearest(name: str, high: int, wide: int) -> bytes:
    nodes = [helper.make_node("Resize", ["input", "", "scales"], ["output"], mode="nearest",
                              coordinate_transformation_mode="asymmetric", nearest_mode="floor")]
    sides = (f"height_x{high}", f"width_x{wide}")
    return model(name, nodes, [constant("scales", [1, 1, high, wide])],
                 [picture("input")], [picture("output", sides=sides)])


def shifted_x2() -> bytes:
    kernel = np.zeros((4 * 3, 3, 7, 7), np.float32)
    for phase in range(4):
        for c in range(3):
            kernel[phase * 3 + c, c, 3, 6] = 1.0
    nodes, constants = generator(kernel, scale=2)
    return model("shifted-x2", nodes, constants, [picture("input")], [picture("output", sides=("height_x2", "width_x2"))])


def luma() -> bytes:
    nodes, constants = generator(polyphase(bicubic_taps(), channels=1))
    return model("luma-x4", nodes, constants, [picture("input", 1)], [picture("output", 1, sides=BIG)])


def sharpened() -> bytes:
    """The picture, and half of what it differs from the mean of its neighbours by. Beyond the edge it is nothing, as in SRCNN."""
    kernel = np.full((1, 1, 3, 3), -0.5 / 8, np.float32)
    kernel[0, 0, 1, 1] = 1.5
    nodes = [helper.make_node("Conv", ["input", "kernel"], ["output"], pads=[1, 1, 1, 1])]
    return model("sharpened", nodes, [constant("kernel", kernel)], [picture("input", 1)], [picture("output", 1)])


def levels() -> bytes:
    nodes, constants = generator(polyphase(np.ones((SCALE, 1))), low=16.0, high=3e38)
    return model("levels-x4", nodes, constants, [picture("input")], [picture("output", sides=BIG)])


def signed() -> bytes:
    nodes, constants = generator(polyphase(np.ones((SCALE, 1))), low=-1.0)
    return model("signed-x4", nodes, constants, [picture("input")], [picture("output", sides=BIG)])


def last() -> bytes:
    nodes, constants = generator(polyphase(np.ones((SCALE, 1))), source="planes", result="large")
    nodes = [
        helper.make_node("Transpose", ["input"], ["planes"], perm=[0, 3, 1, 2]),
        *nodes,
        helper.make_node("Transpose", ["large"], ["output"], perm=[0, 2, 3, 1]),
    ]

    def pixels(name: str, sides) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, FLOAT, ["batch", *sides, 3])

    return model("last-x4", nodes, constants, [pixels("input", ("height", "width"))], [pixels("output", BIG)])


def window(name: str, scale=SCALE, side=None) -> bytes:
    """Each pixel plus half of what it differs from the mean of its window by, repeated. Windows begin at the upper left corner."""
    repeated = np.zeros((scale * scale * 3, 3, 1, 1), np.float32)
    for plane in range(scale * scale * 3):
        repeated[plane, plane % 3] = 1.0
    nodes, constants = generator(repeated, source="clear", scale=scale)
    before = [
        helper.make_node("Shape", ["input"], ["sides"]),
        helper.make_node("Slice", ["sides", "two", "four"], ["area"]),
        helper.make_node("Div", ["area", "window"], ["counts"]),
        helper.make_node("Gather", ["counts", "first"], ["rows"]),
        helper.make_node("Gather", ["counts", "second"], ["columns"]),
        helper.make_node("Slice", ["sides", "zero", "one"], ["batch_size"]),
        helper.make_node("Concat", ["batch_size", "three", "rows", "window", "columns", "window"], ["in_windows"], axis=0),
        helper.make_node("Reshape", ["input", "in_windows"], ["windows"]),
        helper.make_node("ReduceMean", ["windows"], ["means"], axes=[3, 5], keepdims=1),
        helper.make_node("Sub", ["windows", "means"], ["details"]),
        helper.make_node("Mul", ["details", "half"], ["halves"]),
        helper.make_node("Add", ["windows", "halves"], ["clearer"]),
        helper.make_node("Reshape", ["clearer", "sides"], ["clear"]),
    ]
    constants += [
        constant("zero", [0], np.int64),
        constant("one", [1], np.int64),
        constant("two", [2], np.int64),
        constant("three", [3], np.int64),
        constant("four", [4], np.int64),
        constant("first", [0], np.int64),
        constant("second", [1], np.int64),
        constant("window", [WINDOW], np.int64),
        constant("half", 0.5),
    ]
    sides = (side, side) if side else ("height", "width")
    large = (scale * side, scale * side) if side else ("large_height", "large_width")
    return model(name, before + nodes, constants, [picture("input", sides=sides)], [picture("output", sides=large)])


def fixed() -> bytes:
    nodes, constants = generator(polyphase(bicubic_taps(), channels=1))
    large = [SCALE * side for side in FIXED]
    return model(
        "fixed-x4", nodes, constants,
        [helper.make_tensor_value_info("input", FLOAT, [1, 1, *FIXED])],
        [helper.make_tensor_value_info("output", FLOAT, [1, 1, *large])],
    )


def faint() -> bytes:
    nodes, constants = generator(polyphase(np.ones((SCALE, 1)), channels=1), source="clear")
    before = [
        helper.make_node("ReduceMean", ["input"], ["mean"], axes=[2, 3], keepdims=1),
        helper.make_node("Mul", ["mean", "thousandth"], ["faint"]),
        helper.make_node("Add", ["input", "faint"], ["clear"]),
    ]
    constants.append(constant("thousandth", 1e-3))
    side, large = 32, 32 * SCALE
    return model("faint-fixed-x4", before + nodes, constants, [picture("input", 1, sides=(side, side))], [picture("output", 1, sides=(large, large))])


def eight(name: str) -> bytes:
    nodes, constants = generator(polyphase(np.ones((SCALE, 1))), sign=-1.0, shift=255.0, source="values", result="levels", high=255.0)
    nodes = [
        helper.make_node("Cast", ["input"], ["values"], to=FLOAT),
        *nodes,
        helper.make_node("Cast", ["levels"], ["output"], to=UINT8),
    ]
    return model(name, nodes, constants, [picture("input", element=UINT8)], [picture("output", element=UINT8, sides=BIG)])


def paired() -> bytes:
    nodes, constants = generator(polyphase(np.ones((SCALE, 1))))
    return model("paired-x4", nodes, constants, [picture("input")], [picture("output", sides=BIG)])


def float64() -> bytes:
    nodes, constants = generator(polyphase(np.ones((SCALE, 1))), result="single")
    nodes.append(helper.make_node("Cast", ["single"], ["output"], to=DOUBLE))
    return model("float64-x4", nodes, constants, [picture("input")], [picture("output", element=DOUBLE, sides=BIG)])


def grey() -> bytes:
    nodes, constants = generator(polyphase(np.ones((SCALE, 1)), channels=1))
    return model("grey-x4", nodes, constants, [picture("input", 1)], [picture("output", 1, sides=BIG)])


def half() -> bytes:
    nodes, constants = generator(polyphase(bicubic_taps()))
    halves = [
        constant(c.name, numpy_helper.to_array(c), np.float16) if c.data_type == FLOAT else c for c in constants
    ]
    output = picture("output", element=HALF, sides=BIG)
    return model("half-x4", nodes, halves, [picture("input", element=HALF)], [output])


def placed_where_bright() -> list:
    """The fractions `by_width` and `by_height` times the picture's sides as `xs` and `ys`, and whether the picture is bright, 0 or 1, as `lit`."""
    return [
        helper.make_node("Shape", ["images"], ["sides"]),
        helper.make_node("Gather", ["sides", "row_side"], ["rows"], axis=0),
        helper.make_node("Gather", ["sides", "column_side"], ["columns"], axis=0),
        helper.make_node("Cast", ["rows"], ["height_f"], to=FLOAT),
        helper.make_node("Cast", ["columns"], ["width_f"], to=FLOAT),
        helper.make_node("Mul", ["by_width", "width_f"], ["xs"]),
        helper.make_node("Mul", ["by_height", "height_f"], ["ys"]),
        helper.make_node("ReduceMean", ["images"], ["mean"], axes=[1, 2, 3], keepdims=1),
        helper.make_node("Greater", ["mean", "dark"], ["bright"]),
        helper.make_node("Cast", ["bright"], ["bright_f"], to=FLOAT),
        helper.make_node("Squeeze", ["bright_f", "last_side"], ["lit"]),
    ]


def centre_face() -> bytes:
    """cx cy w h score and five points, as fractions, times the sides; two candidates."""
    fractions = np.array([*CENTRE, *SIZE, 1.0, *np.ravel(POINTS)])
    along = np.array([0, 1, 0, 1, 2] + [0, 1] * 5)
    by_width, by_height, as_is = (fractions * (along == axis) for axis in range(3))
    scores = np.array([SCORE, SCORE * 0.8])

    def columns(values, second):
        return np.stack([values, values * second], axis=1)[None]

    constants = [
        constant("by_width", columns(by_width, 1)),
        constant("by_height", columns(by_height, 1)),
        constant("score", columns(as_is, 1) * scores),
        constant("row_side", 2, np.int64),
        constant("column_side", 3, np.int64),
        constant("dark", DARK),
    ]
    nodes = [
        *placed_where_bright(),
        helper.make_node("Mul", ["score", "lit"], ["scores"]),
        helper.make_node("Add", ["xs", "ys"], ["positions"]),
        helper.make_node("Add", ["positions", "scores"], ["predictions"]),
    ]
    constants.append(constant("last_side", [3], np.int64))
    output = helper.make_tensor_value_info("predictions", FLOAT, ["batch", 15, 2])
    return model("centre-face", nodes, constants, [picture("images")], [output])


def bright_seg() -> bytes:
    """cx cy w h, scores of two classes and 32 coefficients, of which the first alone counts; its prototype is brightness, from -1 to 1."""
    classes, planes = 2, 32
    fractions = np.array([*CENTRE, *SIZE])
    rows = 4 + classes + planes

    def columns(values: np.ndarray) -> np.ndarray:
        whole = np.zeros((1, rows, 2), np.float32)
        whole[0, : len(values)] = values[:, None] if values.ndim == 1 else values
        return whole

    as_is = np.zeros((rows, 2), np.float32)
    as_is[5] = SCORE, SCORE * 0.8
    as_is[4 + classes] = 20.0
    kernel, bias = np.zeros((planes, 1, 1, 1)), np.zeros(planes)
    kernel[0], bias[0], bias[1] = 2.0, -1.0, 1.0
    constants = [
        constant("by_width", columns(fractions * [1, 0, 1, 0])),
        constant("by_height", columns(fractions * [0, 1, 0, 1])),
        constant("as_is", columns(as_is)),
        constant("row_side", 2, np.int64),
        constant("column_side", 3, np.int64),
        constant("dark", DARK),
        constant("last_side", [3], np.int64),
        constant("kernel", kernel),
        constant("bias", bias),
        constant("in_a_row", [1, 1, -1], np.int64),
        constant("nothing", np.zeros((1, rows, 1))),
        constant("two", [2], np.int64),
        constant("end", [2**31], np.int64),
    ]
    nodes = [
        *placed_where_bright(),
        helper.make_node("Mul", ["as_is", "lit"], ["others"]),
        helper.make_node("Add", ["xs", "ys"], ["positions"]),
        helper.make_node("Add", ["positions", "others"], ["found"]),
        helper.make_node("ReduceMean", ["images"], ["luma"], axes=[1], keepdims=1),
        helper.make_node("AveragePool", ["luma"], ["quarter"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Conv", ["quarter", "kernel", "bias"], ["output1"]),
    ]
    for stride in (8, 16, 32):
        nodes += [
            helper.make_node("AveragePool", ["luma"], [f"grid_{stride}"], kernel_shape=[stride] * 2, strides=[stride] * 2),
            helper.make_node("Reshape", [f"grid_{stride}", "in_a_row"], [f"cells_{stride}"]),
        ]
    nodes += [
        helper.make_node("Concat", ["cells_8", "cells_16", "cells_32"], ["cells"], axis=2),
        helper.make_node("Mul", ["cells", "nothing"], ["candidates"]),
        helper.make_node("Slice", ["candidates", "two", "end", "candidate_side"], ["rest"]),
        helper.make_node("Concat", ["found", "rest"], ["output0"], axis=2),
    ]
    constants.append(constant("candidate_side", [2], np.int64))
    outputs = [
        helper.make_tensor_value_info("output0", FLOAT, [1, rows, "candidates_count"]),
        helper.make_tensor_value_info("output1", FLOAT, [1, planes, "quarter_height", "quarter_width"]),
    ]
    inputs = [helper.make_tensor_value_info("images", FLOAT, [1, 3, "height", "width"])]
    return model("bright-seg", nodes, constants, inputs, outputs)


def bright_rcnn(name: str, whole: bool) -> bytes:
    """Boxes, labels, scores and masks: how sure it is that a pixel is bright."""
    (cx, cy), (w, h) = CENTRE, SIZE
    boxes = [[cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], [0.0, 0.0, 0.2, 0.2]]
    constants = [
        constant("fractions", boxes),
        constant("all_scores", [SCORE, 0.3]),
        constant("all_labels", [1, 17], np.int64),
        constant("row_side", 1, np.int64),
        constant("column_side", 2, np.int64),
        constant("first_side", [0], np.int64),
        constant("dark", DARK),
        constant("both", [True, True], np.bool_),
        constant("middle", 0.5),
        constant("steep", 40.0),
        constant("pictures", [0, 0], np.int64),
    ]
    nodes = [
        helper.make_node("Shape", ["image"], ["sides"]),
        helper.make_node("Gather", ["sides", "row_side"], ["rows"], axis=0),
        helper.make_node("Gather", ["sides", "column_side"], ["columns"], axis=0),
        helper.make_node("Cast", ["rows"], ["height_s"], to=FLOAT),
        helper.make_node("Cast", ["columns"], ["width_s"], to=FLOAT),
        helper.make_node("Unsqueeze", ["height_s", "first_side"], ["height_f"]),
        helper.make_node("Unsqueeze", ["width_s", "first_side"], ["width_f"]),
        helper.make_node("Concat", ["width_f", "height_f", "width_f", "height_f"], ["corners"], axis=0),
        helper.make_node("Mul", ["fractions", "corners"], ["all_boxes"]),
        helper.make_node("ReduceMean", ["image"], ["luma"], axes=[0], keepdims=1),
        helper.make_node("Unsqueeze", ["luma", "first_side"], ["planes"]),
        helper.make_node("Sub", ["planes", "middle"], ["above"]),
        helper.make_node("Mul", ["above", "steep"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["sure"]),
        helper.make_node("ReduceMean", ["image"], ["mean"], axes=[0, 1, 2], keepdims=0),
        helper.make_node("Greater", ["mean", "dark"], ["bright"]),
        helper.make_node("And", ["both", "bright"], ["kept"]),
    ]
    if whole:
        names = ["boxes", "labels", "scores", "masks"]
        nodes.append(helper.make_node("Concat", ["sure", "sure"], ["all_masks"], axis=0))
    else:
        names = ["6568", "6570", "6572", "6887"]
        nodes.append(helper.make_node("RoiAlign", ["sure", "all_boxes", "pictures"], ["all_masks"],
                                      output_height=28, output_width=28, sampling_ratio=2, spatial_scale=1.0))
    alls = ["all_boxes", "all_labels", "all_scores", "all_masks"]
    nodes += [helper.make_node("Compress", [every, "kept"], [own], axis=0) for every, own in zip(alls, names)]
    sides = ["height", "width"] if whole else [28, 28]
    outputs = [
        helper.make_tensor_value_info(own, element, ["found", *shape])
        for own, element, shape in zip(names, [FLOAT, INT64, FLOAT, FLOAT], [[4], [], [], [1, *sides]])
    ]
    return model(name, nodes, constants, [helper.make_tensor_value_info("image", FLOAT, [3, "height", "width"])], outputs)


HEADER = """\
# Tiny networks for tests, written by generate.py beside this file. They are not for pictures that anyone looks at.
"""

ENTRY = """
[[model]]
name = "{name}"
role = "{role}"
subject = "{subject}"
file = "{name}.onnx"
sha256 = "{sha256}"
{own}layout = "nchw"
channels = "{channels}"
range = [0.0, 1.0]
licence = "MIT OR Apache-2.0"
trained-on = "nothing: written by models/tiny/generate.py"
"""


def main(folder: Path) -> None:
    files = {
        "bicubic-x4": bicubic(),
        "inverted-x4": inverted(),
        "shifted-x4": shifted(),
        "slow-x4": slow("slow-x4", 64),
        "late-x4": slow("late-x4", 0),
        "brittle-x4": brittle(),
        "plain-x4": of_kernel("plain-x4", plain_and_crisp()[0]),
        "crisp-x4": of_kernel("crisp-x4", plain_and_crisp()[1]),
        "between-x4": between(),
        "nearest-x2": nearest("nearest-x2", 2, 2),
        "nearest-x3": nearest("nearest-x3", 3, 3),
        "nearest-x8": nearest("nearest-x8", 8, 8),
        "shifted-x2": shifted_x2(),
        "uneven": nearest("uneven", 4, 2),
        "luma-x4": luma(),
        "sharpened": sharpened(),
        "levels-x4": levels(),
        "signed-x4": signed(),
        "last-x4": last(),
        "window-x4": window("window-x4"),
        "window-x2": window("window-x2", scale=2),
        "window-fixed-x4": window("window-fixed-x4", side=WINDOW_FIXED),
        "fixed-x4": fixed(),
        "faint-fixed-x4": faint(),
        "eight-x4": eight("eight-x4"),
        "paired-x4": paired(),
        "paired-x4.int8": eight("paired-x4.int8"),
        "float64-x4": float64(),
        "grey-x4": grey(),
        "half-x4": half(),
        "centre-face": centre_face(),
        "bright-seg": bright_seg(),
        "bright-rcnn": bright_rcnn("bright-rcnn", whole=False),
        "bright-rcnn-whole": bright_rcnn("bright-rcnn-whole", whole=True),
        "rubbish": b"This is not a network.\n" * 8,
    }
    catalogued = [
        ("bicubic-x4", "generator", "general", "scale = 4\nreceptive-radius = 2\n"),
        ("inverted-x4", "generator", "face", "scale = 4\nreceptive-radius = 0\n"),
        ("slow-x4", "generator", "general", "scale = 4\nreceptive-radius = 2\n"),
        ("late-x4", "generator", "general", "scale = 4\nreceptive-radius = 2\n"),
        ("brittle-x4", "generator", "general", "scale = 4\nreceptive-radius = 0\n"),
        ("plain-x4", "generator", "general", 'scale = 4\nreceptive-radius = 2\nnatural = "crisp-x4"\n'),
        ("crisp-x4", "generator", "general", "scale = 4\nreceptive-radius = 2\n"),
        ("between-x4", "generator", "general", "scale = 4\nreceptive-radius = 2\n"),
        ("nearest-x2", "generator", "general", "scale = 2\nreceptive-radius = 0\n"),
        ("luma-x4", "generator", "general", "scale = 4\nreceptive-radius = 2\n"),
        ("paired-x4", "generator", "general", "scale = 4\nreceptive-radius = 0\n"),
        ("centre-face", "detector", "face", 'family = "yolo"\nstride = 8\n'),
        ("damaged", "generator", "general", "scale = 4\nreceptive-radius = 2\n"),
    ]
    whole = files["bicubic-x4"]
    middle = len(whole) // 2
    files["damaged"] = whole[:middle] + bytes([whole[middle] ^ 0xFF]) + whole[middle + 1:]
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    digests["damaged"] = digests["bicubic-x4"]
    for name, content in files.items():
        (folder / f"{name}.onnx").write_bytes(content)

    def entry(name: str, role: str, subject: str, own: str) -> str:
        if f"{name}.int8" in digests:
            own = f'int8-file = "{name}.int8.onnx"\nint8-sha256 = "{digests[f"{name}.int8"]}"\n' + own
        channels = "y" if name.startswith("luma") else "rgb"
        return ENTRY.format(name=name, role=role, subject=subject, sha256=digests[name], own=own, channels=channels)

    text = HEADER + "".join(entry(*row) for row in catalogued)
    (folder / "models.toml").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent)
