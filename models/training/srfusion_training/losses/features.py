"""Feature networks for losses: any ONNX file or TorchScript module, run differentiably up to a layer.

An ONNX graph is carried out operation by operation with PyTorch's own, so that gradients reach the picture; its weights are
fixed. The layer is the name of a tensor in the graph, as a viewer shows it. A TorchScript module's layer is a dotted path of
submodules, as ``features.34`` in VGG19 (the convolution 5_4 before its activation).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper
from torch import nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Tensor = torch.Tensor


def _pads(attributes: dict[str, Any], what: str) -> tuple[int, ...]:
    """Padding in the order of F.pad (last axis first); explicit pads only."""
    automatic = attributes.get("auto_pad", b"NOTSET")
    if automatic not in (b"NOTSET", b"VALID", b""):
        raise ValueError(f"{what}: auto_pad {automatic.decode()} is not supported, only explicit pads")
    pads = list(attributes.get("pads", []))
    half = len(pads) // 2
    return tuple(value for axis in reversed(range(half)) for value in (pads[axis], pads[half + axis]))


def _conv(a: dict[str, Any], x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    if weight.dim() != 4:
        raise ValueError(f"Conv: kernels of two dimensions only, not of {weight.dim() - 2}")
    pads = _pads(a, "Conv")
    if pads and pads[0] == pads[1] and pads[2] == pads[3]:
        padding: tuple[int, ...] = (pads[2], pads[0])
    else:
        x, padding = (F.pad(x, pads) if pads else x), (0, 0)
    stride, dilation = tuple(a.get("strides", (1, 1))), tuple(a.get("dilations", (1, 1)))
    return F.conv2d(x, weight, bias, stride, padding, dilation, a.get("group", 1))  # type: ignore[arg-type]


def _pool(a: dict[str, Any], x: Tensor, largest: bool) -> Tensor:
    pads = _pads(a, "pooling")
    if any(value != 1 for value in a.get("dilations", (1, 1))):
        raise ValueError("pooling with dilations is not supported")
    kernel, stride = tuple(a["kernel_shape"]), tuple(a.get("strides", (1, 1)))
    ceil, counted = bool(a.get("ceil_mode", 0)), bool(a.get("count_include_pad", 0))
    alike = not pads or (pads[0] == pads[1] and pads[2] == pads[3])
    if alike and all(2 * pad <= side for pad, side in zip(pads[::2], reversed(kernel))):
        padding = (pads[2], pads[0]) if pads else (0, 0)
        if largest:
            return F.max_pool2d(x, kernel, stride, padding, ceil_mode=ceil)
        return F.avg_pool2d(x, kernel, stride, padding, ceil, counted)
    if ceil:
        raise ValueError("pooling with ceil_mode and pads that differ between the sides is not supported")
    if largest:
        return F.max_pool2d(F.pad(x, pads, value=-torch.inf), kernel, stride)
    if not counted:
        inside = F.avg_pool2d(F.pad(torch.ones_like(x[:1, :1]), pads), kernel, stride)
        return F.avg_pool2d(F.pad(x, pads), kernel, stride) / inside
    return F.avg_pool2d(F.pad(x, pads), kernel, stride)


def _clip(a: dict[str, Any], x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    smallest = a.get("min", -torch.inf) if low is None else float(low)
    largest = a.get("max", torch.inf) if high is None else float(high)
    return x.clamp(smallest, largest)


def _reshape(a: dict[str, Any], x: Tensor, shape: Tensor) -> Tensor:
    sizes = [x.shape[axis] if size == 0 and not a.get("allowzero", 0) else int(size) for axis, size in enumerate(shape.tolist())]
    # A graph saved for one picture says so here; we run several.
    if sizes and sizes[0] == 1 and x.shape[0] != 1:
        sizes[0] = x.shape[0]
    return x.reshape(sizes)


def _gemm(a: dict[str, Any], x: Tensor, y: Tensor, bias: Tensor | None = None) -> Tensor:
    result = a.get("alpha", 1.0) * (x.T if a.get("transA", 0) else x) @ (y.T if a.get("transB", 0) else y)
    return result if bias is None else result + a.get("beta", 1.0) * bias


def _normalise(a: dict[str, Any], x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    return F.batch_norm(x, mean, variance, scale, bias, False, 0.0, a.get("epsilon", 1e-5))


def _prelu(a: dict[str, Any], x: Tensor, slope: Tensor) -> Tensor:
    return torch.where(x >= 0, x, x * slope)


def _mean(a: dict[str, Any], x: Tensor, axes: Tensor | None = None) -> Tensor:
    along = a.get("axes") if axes is None else axes.tolist()
    return x.mean(dim=tuple(along or range(x.dim())), keepdim=bool(a.get("keepdims", 1)))


#: Operations of ONNX that :class:`OnnxFeatures` runs: (attributes, inputs) -> the one output.
OPERATIONS: dict[str, Callable[..., Tensor]] = {
    "Add": lambda a, x, y: x + y,
    "AveragePool": lambda a, x: _pool(a, x, largest=False),
    "BatchNormalization": _normalise,
    "Clip": _clip,
    "Concat": lambda a, *x: torch.cat(x, dim=a["axis"]),
    "Conv": _conv,
    "Div": lambda a, x, y: x / y,
    "Dropout": lambda a, x, *_: x,
    "Flatten": lambda a, x: x.flatten(a.get("axis", 1)),
    "Gemm": _gemm,
    "GlobalAveragePool": lambda a, x: x.mean(dim=(2, 3), keepdim=True),
    "Identity": lambda a, x: x,
    "LeakyRelu": lambda a, x: F.leaky_relu(x, a.get("alpha", 0.01)),
    "MatMul": lambda a, x, y: x @ y,
    "MaxPool": lambda a, x: _pool(a, x, largest=True),
    "Mul": lambda a, x, y: x * y,
    "PRelu": _prelu,
    "ReduceMean": _mean,
    "Relu": lambda a, x: F.relu(x),
    "Reshape": _reshape,
    "Sigmoid": lambda a, x: torch.sigmoid(x),
    "Sub": lambda a, x, y: x - y,
    "Transpose": lambda a, x: x.permute(*a.get("perm", reversed(range(x.dim())))),
}


class OnnxFeatures(nn.Module):
    """The part of an ONNX graph that leads from its input to the tensor ``layer``, as a module with fixed weights.

    ``size`` is the (height, width) that the graph declares for its input, None where it leaves them free. ValueError if
    the layer is not there (its message lists where to look) or an operation is not in :data:`OPERATIONS`.
    """

    def __init__(self, file: Path | str, layer: str | None) -> None:
        super().__init__()
        if not Path(file).exists():
            raise FileNotFoundError(f"{file}: no such feature network")
        graph = onnx.load(str(file)).graph
        constants = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant":
                value = onnx.helper.get_attribute_value(node.attribute[0])
                constants[node.output[0]] = (
                    numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else np.array(value)
                )
        inputs = [item for item in graph.input if item.name not in constants]
        if len(inputs) != 1:
            raise ValueError(f"{file}: has {len(inputs)} inputs, a feature network has one")
        self.source = inputs[0].name
        self.layer = layer or graph.output[0].name
        sides = [dimension.dim_value for dimension in inputs[0].type.tensor_type.shape.dim]
        self.size = (sides[2], sides[3]) if len(sides) == 4 and sides[2] > 0 and sides[3] > 0 else None
        maker = {name: node for node in graph.node for name in node.output if node.op_type != "Constant"}
        if self.layer not in maker:
            some = ", ".join(list(maker)[-4:])
            raise ValueError(f"{file}: has no tensor '{self.layer}'; the last ones are {some}")
        needed, open_names = set(), [self.layer]
        while open_names:
            name = open_names.pop()
            if name in maker and name not in needed:
                needed.add(name)
                open_names.extend(maker[name].input)
        self.steps: list[tuple[Callable[..., Tensor], dict[str, Any], list[str], str]] = []
        used: set[str] = set()
        for node in graph.node:
            if node.op_type == "Constant" or not needed.intersection(node.output):
                continue
            if node.op_type not in OPERATIONS:
                raise ValueError(f"{file}: operation {node.op_type} (node '{node.name}') is not supported; choose an earlier layer")
            attributes = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
            self.steps.append((OPERATIONS[node.op_type], attributes, list(node.input), node.output[0]))
            used.update(node.input)
        # Names of tensors hold dots and slashes, which buffers may not.
        self.place: dict[str, str] = {}
        for name in sorted(used & constants.keys()):
            self.place[name] = f"constant{len(self.place)}"
            self.register_buffer(self.place[name], torch.from_numpy(np.array(constants[name])))

    def forward(self, picture: Tensor) -> Tensor:
        """f32[n, 3, h, w], normalised as the network wants it -> the layer's values."""
        values: dict[str, Tensor] = {self.source: picture}
        values.update((name, getattr(self, place)) for name, place in self.place.items())
        for operation, attributes, names, output in self.steps:
            values[output] = operation(attributes, *(values[name] if name else None for name in names))
        return values[self.layer]


def _cut(module: torch.jit.ScriptModule, layer: str) -> tuple[str, Callable[..., Tensor]] | None:
    """(path, function) for the last call in ``module.forward`` of the submodule ``path``, the longest beginning of ``layer`` that is
    called there: the function of (module, picture) gives what the submodule is given. None if none is called."""
    graph = module.graph.copy()
    places: dict[str, str] = {}
    found = None
    for node in graph.nodes():
        if node.kind() == "prim::GetAttr":
            owner = places.get(next(iter(node.inputs())).debugName(), "")
            places[next(iter(node.outputs())).debugName()] = f"{owner}.{node.s('name')}" if owner else node.s("name")
        elif node.kind() == "prim::CallMethod" and node.s("name").startswith("forward"):  # a trace numbers its calls
            inputs = list(node.inputs())
            path = places.get(inputs[0].debugName(), "")
            if path and f"{layer}.".startswith(f"{path}.") and (found is None or len(path) >= len(found[0])):
                if len(inputs) != 2:
                    raise ValueError(f"'{path}' takes {len(inputs) - 1} inputs; a layer on the way takes one")
                found = path, inputs[1]
    if found is None:
        return None
    while len(list(graph.outputs())):
        graph.eraseOutput(0)
    graph.registerOutput(found[1])
    torch._C._jit_pass_dce(graph)
    return found[0], torch._C._create_function_from_graph("features", graph)


def _at(module: nn.Module, path: str) -> nn.Module:
    """The submodule at a dotted path; ``get_submodule`` does not work on TorchScript."""
    for name in path.split(".") if path else []:
        module = dict(module.named_children())[name]
    return module


class ScriptFeatures(nn.Module):
    """A TorchScript module, scripted or traced, up to and with the submodule ``layer`` (a dotted path), or its output where ``layer``
    is empty. Of a submodule that is called several times the last call counts.

    What comes before the layer is cut out of the compiled code, level by level. ValueError if the path leads nowhere or through a
    branch or loop of the code, where it cannot be cut.
    """

    def __init__(self, file: Path | str, layer: str | None) -> None:
        super().__init__()
        if not Path(file).exists():
            raise FileNotFoundError(f"{file}: no such feature network")
        self.module = torch.jit.load(str(file), map_location="cpu").eval()
        self.size = None
        #: Paths of modules, each with the function that leads to the next one; the last module runs whole.
        self.stages: list[tuple[str, Callable[..., Tensor]]] = []
        self.last, rest = "", layer or ""
        while rest:
            module = _at(self.module, self.last)
            children = [name for name, _ in module.named_children()]
            if rest.split(".")[0] not in children:
                raise ValueError(f"{file}: has no submodule '{rest.split('.')[0]}' on the way to '{layer}'; here are {', '.join(children)}")
            cut = _cut(module, rest)
            if cut is None:
                raise ValueError(f"{file}: '{layer}' is not called at the top level of {module.original_name}'s code; choose another, or give an ONNX file")
            path, function = cut
            self.stages.append((self.last, function))
            self.last = f"{self.last}.{path}" if self.last else path
            rest = rest[len(path) + 1 :]

    def forward(self, picture: Tensor) -> Tensor:
        """f32[n, 3, h, w], normalised as the network wants it -> the layer's values."""
        for path, function in self.stages:
            picture = function(_at(self.module, path)._c, picture)
        return _at(self.module, self.last)(picture)


class Extractor(nn.Module):
    """A feature network with what comes before it: bilinear resizing to its input and normalisation.

    ``size`` (height, width) overrides what the file declares; where neither says anything, pictures keep their size.
    ``mean`` and ``std`` are of RGB in 0..1. Its weights get no gradients; the picture does.
    """

    def __init__(
        self,
        file: Path | str,
        layer: str | None = None,
        size: tuple[int, int] | None = None,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ) -> None:
        super().__init__()
        kind = OnnxFeatures if Path(file).suffix.lower() == ".onnx" else ScriptFeatures
        self.network = kind(file, layer).eval()
        self.size = size or self.network.size
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, 3, 1, 1))
        for value in self.parameters():
            value.requires_grad_(False)

    def forward(self, picture: Tensor) -> Tensor:
        """f32[n, 3, h, w] RGB in 0..1 -> the features f32[n, ...]."""
        if self.size is not None and tuple(picture.shape[-2:]) != tuple(self.size):
            # Antialiased, so that a large face is not sampled with gaps; the same as plain bilinear when enlarging.
            picture = F.interpolate(picture, self.size, mode="bilinear", align_corners=False, antialias=True)
        return self.network((picture - self.mean) / self.std)
