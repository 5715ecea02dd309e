"""``export-shape``: write a well-known network with random weights, by PyTorch's own exporter, with an entry in models.toml: for trying
that files of its shape run."""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
import torch

from .. import catalogue
from ..export.session import SCALE, session
from ..nets.compact import parameter_count
from ..nets.public import SHAPES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``export-shape``."""
    parser.add_argument("shapes", nargs="+", choices=(*SHAPES, "all"), metavar="SHAPE", help=f"{', '.join(SHAPES)}, or all")
    parser.add_argument("--models", type=Path, required=True, help="folder for the files and their models.toml")
    parser.add_argument("--seed", type=int, default=1)


def run(args: argparse.Namespace) -> int:
    """Write, compare with PyTorch, record."""
    args.models.mkdir(parents=True, exist_ok=True)
    for name in SHAPES if "all" in args.shapes else dict.fromkeys(args.shapes):
        shape = SHAPES[name]
        torch.manual_seed(args.seed)
        network = shape.make().eval()
        planes = 1 if shape.channels == "y" else 3
        low, high = shape.range
        x = low + (high - low) * torch.rand(1, planes, 12, 16)
        file = args.models / f"{name}-shape.onnx"
        axes = {"input": {0: "n", 2: "h", 3: "w"}, "output": {0: "n", 2: "h4", 3: "w4"}}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            torch.onnx.export(network, (x,), str(file), input_names=["input"], output_names=["output"], dynamic_axes=axes, opset_version=17, dynamo=False)
        with torch.no_grad():
            wanted = network(x).numpy()
        (found,) = session(file).run(["output"], {"input": x.numpy()})
        factor = 1 if shape.interpolated else SCALE
        if found.shape != (1, planes, 12 * factor, 16 * factor) or np.abs(found - wanted).max() > 1e-4 * (high - low):
            raise ValueError(f"{name}: the file gives {found.shape} and differs from PyTorch by {np.abs(found - wanted).max():.1e}")
        entry = {
            "name": f"{name}-shape", "role": "generator", "subject": "general", "file": file.name, "scale": SCALE, "layout": "nchw",
            "channels": shape.channels, "range": list(shape.range), "input": "interpolated" if shape.interpolated else "picture",
            "parameters": parameter_count(network), "licence": "MIT OR Apache-2.0", "trained-on": "nothing: random weights",
        }  # fmt: skip
        catalogue.update(entry, args.models)
        print(f"{file}: {file.stat().st_size} bytes")
    return 0
