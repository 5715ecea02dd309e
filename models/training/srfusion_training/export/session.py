"""ONNX Runtime on the CPU, as everything here uses it."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnxruntime

SCALE = 4


def session(model: onnx.ModelProto | Path | str, threads: int = 1) -> onnxruntime.InferenceSession:
    """ONNX Runtime on the CPU for a graph or a file."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    source = model.SerializeToString() if isinstance(model, onnx.ModelProto) else str(model)
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
