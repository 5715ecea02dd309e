"""``results``: the source's Table 1 on our data, and the mask's curve, into docs/results.md."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from .. import catalogue
from ..data import folders
from ..detect.finder import Finder
from ..evaluate.generators import SETS, upscaler
from ..evaluate.mask import measure_mask
from ..evaluate.page import page, ranks
from ..evaluate.results import draw_pictures, load_seeds, measure, over_seeds
from ..train import curves


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``results``."""
    folder = folders.default_checkpoints() / "table1"
    parser.add_argument("--data", type=Path, default=folders.default_data(), help="folder with dev/, train/face and faces.csv")
    parser.add_argument(
        "--rows", type=Path, nargs="+", default=[folder], metavar="FOLDER",
        help="of the checkpoints general, face, mixed and face-feature; one folder for each seed",
    )  # fmt: skip
    parser.add_argument("--models", type=Path, default=catalogue.models_folder(), help="folder of the detector and the shipped generators")
    parser.add_argument("--docs", type=Path, default=folders.repository_folder() / "docs", help="where results.md and results/ go")
    parser.add_argument("--embedding", type=Path, help="ONNX; default: dev/models/mobilefacenet-embedding.onnx of the data")
    parser.add_argument("--sets", nargs="+", default=list(SETS), help="folders of dev/general")
    parser.add_argument("--padding", type=float, default=0.05)
    parser.add_argument("--sigma", type=float, default=0.1)
    parser.add_argument("--mask-pictures", type=int, default=24, help="portraits for the mask's curve, at most")
    parser.add_argument("--keep-mask", action="store_true", help="take the mask's numbers from an earlier run, if there was one")
    parser.add_argument("--page-only", action="store_true", help="measure nothing: write results.md again from results.json")
    parser.add_argument("--batch", type=int, default=8, help="patches a step, to be said in the page where the checkpoints do not say it")
    parser.add_argument("--note", help="a sentence about the rows, for the page")
    parser.add_argument("--finding", help="a paragraph below the table")
    parser.add_argument("--mask-note", help="a paragraph below the mask's table")
    parser.add_argument("--threads", type=int, default=1)


def run(args: argparse.Namespace) -> int:
    """Measure, draw, write."""
    kept = args.docs / "results" / "results.json"
    earlier = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    notes = dict(earlier.get("notes", {}))
    if notes and not args.page_only:
        print("notes of the earlier run are kept where no new ones are given: see that they still hold", flush=True)
    for name in ("note", "finding", "mask_note"):
        if getattr(args, name) is None:
            setattr(args, name, notes.get(name, ""))
        notes[name] = getattr(args, name)
    if args.page_only:
        if not earlier:
            raise FileNotFoundError(f"{kept}: not there; run 'results' without --page-only first")
        result = earlier | {"notes": notes}
        kept.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        (args.docs / "results.md").write_text(page(args, result), encoding="utf-8")
        return 0
    args.embedding = args.embedding or args.data / "dev" / "models" / "mobilefacenet-embedding.onnx"
    by_seed, common = load_seeds(args.rows, args.threads)
    rows = by_seed[0]
    finder = Finder(args.models, args.threads)
    result = over_seeds([measure(args, each, finder) for each in by_seed]) | {"common": common}
    for row, values in result["table"].items():
        print(f"{row:30} " + "  ".join(f"{value:8.4f}" for value in values), flush=True)
    folder = args.docs / "results"
    result["notes"] = notes
    if args.keep_mask and "mask" in earlier:
        result["mask"] = earlier["mask"]
    else:
        files = [args.models / f"{name}-x4.onnx" for name in ("general", "face")]
        result["mask"] = measure_mask(args, *(upscaler(file, args.threads) for file in files))
        result["mask"]["sha256"] = [catalogue.sha256_of(file)[:8] for file in files]
    folder.mkdir(parents=True, exist_ok=True)
    lines = {
        f"{kind}, sigma {s:g}": [(p, v - result["mask"][kind]["alone"]["general"]) for p, q, v in result["mask"][kind]["grid"] if q == s]
        for kind in ("studio", "photograph") if kind in result["mask"] for s in (0.0, 0.1, 0.2)
    }  # fmt: skip
    curves.plot(lines, folder / "mask.png", "Fusion over the general generator alone, inside the widened face box", "mask padding, fractions of the box", "dB gained")
    result["pictures"] = draw_pictures(args, rows, finder)
    kept.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (args.docs / "results.md").write_text(page(args, result), encoding="utf-8")
    print(f"{args.docs / 'results.md'}: fusion is " + ", ".join(f"{place}. in {column}" for column, place in ranks(result["table"]).items()))
    return 0
