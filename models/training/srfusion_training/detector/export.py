"""`export-detector`: checkpoint -> ONNX with its entry in models.toml.

The averaged weights are taken, batch normalisation is folded into the convolutions, and the decoding to pixels is part of
the graph. The written file is run at two sizes and compared with the network before anything is recorded.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
import torch

from .network import ROWS, FaceDetector, folded, parameter_count

NAME = "face-detector"
OPSET = 17
FALSE_BUDGET = 0.1  # false boxes a picture that a user puts up with
PARITY = 1e-2  # pixels, and a ten-thousandth of it for scores


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `export-detector`."""
    parser.add_argument("--checkpoint", type=Path, required=True, help="detector.pt of a training run")
    parser.add_argument("--models", type=Path, default=None, help="folder of models.toml and the file (default: the repository's models)")
    parser.add_argument("--min-confidence", type=float, default=0.5, help="recommended threshold for models.toml, chosen on held-out training pictures")
    parser.add_argument("--cache", type=Path, default=None, help="the training cache: choose the threshold there, on people and photographs held out")
    parser.add_argument("--pictures", type=int, default=300, help="pictures for that choice")
    parser.add_argument("--no-catalogue", action="store_true", help="leave models.toml as it is")


def to_onnx(model: FaceDetector) -> bytes:
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
    graph.graph.name = NAME
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
        if got.shape != (shape[0], ROWS, cells):
            raise ValueError(f"predictions have shape {got.shape}, expected {(shape[0], ROWS, cells)}")
        difference = np.abs(got - wanted)
        worst = max(worst, float(difference.max()), float(difference[:, 4].max()) * 1e4 * PARITY)
    if worst > PARITY * 10:
        raise ValueError(f"the file differs from the network by {worst:.4f} pixels")
    return worst


def choose_threshold(model: FaceDetector, cache: Path, pictures: int) -> float:
    """The lowest threshold, a multiple of 0.05, with at most :data:`FALSE_BUDGET` false boxes a picture on held-out mosaics.

    A missed face is drawn by the general generator, which harms little, while a false one gets a face network's invention.
    """
    from .train import held_out_samples, predict, score

    samples = held_out_samples(cache, 288, pictures)
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


def run(args: argparse.Namespace) -> int:
    """Export, check and record; returns the exit status."""
    from ..catalogue import models_folder, update

    models = args.models or models_folder()
    state = torch.load(args.checkpoint, map_location="cpu", weights_only=True)
    model = FaceDetector(state["channels"])
    model.load_state_dict(state["average"])
    model.eval()
    threshold = args.min_confidence
    if args.cache:
        threshold = choose_threshold(model, args.cache, args.pictures)
    data = to_onnx(model)
    worst = check(data, model)
    (models / f"{NAME}.onnx").write_bytes(data)
    print(f"{NAME}.onnx: {len(data)} bytes, {parameter_count(folded(model))} parameters, step {state['step']}, parity {worst:.5f} px")
    if not args.no_catalogue:
        entry = update({
            "name": NAME,
            "role": "detector",
            "subject": "face",
            "family": "yolo",
            "file": f"{NAME}.onnx",
            "layout": "nchw",
            "channels": "rgb",
            "range": [0.0, 1.0],
            "stride": 32,
            "input-size": 640,
            "min-confidence": threshold,
            "parameters": parameter_count(folded(model)),
            "licence": "MIT OR Apache-2.0",
            "trained-on": "CivilServiceUSA portraits (MIT), Face Research Lab London set (CC BY 4.0), 87 photographs (CC0, Unsplash, Pexels, Pixabay, CC BY(-SA))",
        }, models)
        print(f"models.toml: sha256 {entry['sha256']}, min-confidence {threshold}")
    return 0
