"""``export-detector``: write the trained detector as ONNX and record it in models.toml."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from ..catalogue import models_folder, update
from ..detect.export import check, choose_threshold, to_onnx
from ..detect.sources import SOURCES
from ..nets.face_detector import FaceDetector, folded, parameter_count


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `export-detector`."""
    parser.add_argument("--checkpoint", type=Path, required=True, help="detector.pt of a training run")
    parser.add_argument("--models", type=Path, default=None, help="folder of models.toml and the file (default: the repository's models)")
    parser.add_argument("--min-confidence", type=float, default=0.5, help="recommended threshold for models.toml, chosen on held-out training pictures")
    parser.add_argument("--cache", type=Path, default=None, help="the training cache: choose the threshold there, on people and photographs held out")
    parser.add_argument("--pictures", type=int, default=300, help="pictures for that choice")
    parser.add_argument("--no-catalogue", action="store_true", help="leave models.toml as it is")


def run(args: argparse.Namespace) -> int:
    """Export, check and record; returns the exit status."""
    models = args.models or models_folder()
    state = torch.load(args.checkpoint, map_location="cpu", weights_only=True)
    subject = state.get("subject", "face")
    name = f"{subject}-detector"
    model = FaceDetector(state["channels"], state.get("points", 5))
    model.load_state_dict(state["average"])
    model.eval()
    threshold = args.min_confidence
    if args.cache:
        threshold = choose_threshold(model, args.cache, args.pictures, subject)
    data = to_onnx(model, name)
    worst = check(data, model)
    (models / f"{name}.onnx").write_bytes(data)
    print(f"{name}.onnx: {len(data)} bytes, {parameter_count(folded(model))} parameters, step {state['step']}, parity {worst:.5f} px")
    if not args.no_catalogue:
        entry = update({
            "name": name,
            "role": "detector",
            "subject": subject,
            "family": "yolo",
            "file": f"{name}.onnx",
            "layout": "nchw",
            "channels": "rgb",
            "range": [0.0, 1.0],
            "stride": 32,
            "input-size": SOURCES[subject].longest,
            "min-confidence": threshold,
            **SOURCES[subject].rules,
            "parameters": parameter_count(folded(model)),
            "licence": "MIT OR Apache-2.0",
            "trained-on": SOURCES[subject].trained_on,
        }, models)
        print(f"models.toml: sha256 {entry['sha256']}, min-confidence {threshold}")
    return 0
