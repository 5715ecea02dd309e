"""``evaluate-text-detector``: words found by the height of letters, on drawn pictures of held-out fonts and photographs."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ..catalogue import models_folder
from ..data import folders, pictures
from ..detect import measure_text
from ..detect.detectors import OurDetector, catalogue_threshold

NAME = "text-detector"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``evaluate-text-detector``."""
    parser.add_argument("--model", type=Path, default=models_folder() / f"{NAME}.onnx", help="the ONNX file")
    parser.add_argument("--cache", type=Path, default=folders.default_cache(), help="what 'prepare' wrote")
    parser.add_argument("--count", type=int, default=200, help="pictures")
    parser.add_argument("--side", type=int, default=640, help="of a picture")
    parser.add_argument("--budget", type=float, default=0.1, help="false boxes a picture up to which the threshold is lowered")
    parser.add_argument("--trained-fonts", action="store_true", help="measure the fonts and photographs that were trained on instead")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--draw", type=Path, nargs=2, metavar=("PICTURES", "FOLDER"), help="only write the boxes into these pictures, at the threshold of models.toml")
    parser.add_argument("--longest", type=int, default=640, help="longest side of a drawn picture as fed")


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    detector = OurDetector(args.model, args.threads)
    if args.draw:
        threshold = catalogue_threshold(args.model.parent, NAME)
        measure_text.draw(detector, pictures.picture_files(args.draw[0]), threshold, args.longest, args.draw[1])
        return 0
    rows = measure_text.measure(detector, measure_text.scenes(args.cache, args.count, args.side, held_out=not args.trained_fonts), args.budget)
    if args.json:
        print(json.dumps(rows, indent=1))
    else:
        measure_text.tell(rows)
    return 0
