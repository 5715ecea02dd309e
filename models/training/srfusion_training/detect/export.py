"""`export-detector`: checkpoint -> ONNX with its entry in models.toml.

The averaged weights are taken, batch normalisation is folded into the convolutions, and the decoding to pixels is part of
the graph. The written file is run at two sizes and compared with the network before anything is recorded.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch

from ..nets.face_detector import FaceDetector, folded
from .sources import SOURCES
from .train import held_out_samples, predict, score

OPSET = 17
FALSE_BUDGET = 0.1  # false boxes a picture that a user puts up with
PARITY = 1e-2  # pixels, and a ten-thousandth of it for scores


def to_onnx(model: FaceDetector, name: str = "face-detector") -> bytes:
    """The ONNX file of a trained network: `images` f32 [b, 3, h, w] -> `predictions` f32 [b, 15, n], sizes free."""
    import onnx

    buffer = io.BytesIO()
    torch.onnx.export(folded(model), (torch.rand(1, 3, 64, 96),), buffer, input_names=["images"], output_names=["predictions"],
                      opset_version=OPSET, dynamic_axes={"images": {0: "b", 2: "h", 3: "w"}, "predictions": {0: "b", 2: "n"}},
                      do_constant_folding=True, dynamo=False)
    graph = onnx.load_from_string(buffer.getvalue())
    for node in graph.graph.node:
        node.doc_string = ""
    graph.producer_name = "srfusion"
    graph.graph.name = name
    onnx.checker.check_model(graph, full_check=True)
    return graph.SerializeToString()


def check(data: bytes, model: FaceDetector) -> float:
    """Largest difference between file and network, pixels (scores weighted up); raises ValueError if it is too large."""
    import onnxruntime

    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    worst = 0.0
    for shape in ((1, 3, 96, 128), (2, 3, 160, 64)):
        images = np.random.default_rng(0).random(shape, dtype=np.float32)
        got = session.run(["predictions"], {"images": images})[0]
        with torch.no_grad():
            wanted = model.eval()(torch.from_numpy(images)).numpy()
        cells = sum((shape[2] // s) * (shape[3] // s) for s in (8, 16, 32))
        rows = 5 + 2 * model.points
        if got.shape != (shape[0], rows, cells):
            raise ValueError(f"predictions have shape {got.shape}, expected {(shape[0], rows, cells)}")
        difference = np.abs(got - wanted)
        worst = max(worst, float(difference.max()), float(difference[:, 4].max()) * 1e4 * PARITY)
    if worst > PARITY * 10:
        raise ValueError(f"the file differs from the network by {worst:.4f} pixels")
    return worst


def choose_threshold(model: FaceDetector, cache: Path, pictures: int, subject: str = "face") -> float:
    """The lowest threshold, a multiple of 0.05, with at most :data:`FALSE_BUDGET` false boxes a picture on held-out mosaics.

    A missed face is drawn by the general generator, which harms little, while a false one gets a face network's invention.
    """
    samples = held_out_samples(cache, SOURCES[subject].judged, pictures, subject)
    predictions = predict(model, samples)
    thresholds = [step / 20 for step in range(6, 20)]
    chosen = None
    for threshold in thresholds:
        result = score(predictions, samples, threshold)
        print(f"threshold {threshold:.2f}: recall {result['recall']:.3f}, false {result['false']:.3f} a picture")
        if chosen is None and result["false"] <= FALSE_BUDGET:
            chosen = threshold
    if chosen is None:
        raise ValueError(f"at every threshold up to {thresholds[-1]} there are more than {FALSE_BUDGET} false boxes a picture: train it longer")
    print(f"at most {FALSE_BUDGET} false boxes a picture: threshold {chosen:.2f}")
    return chosen
