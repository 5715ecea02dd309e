"""``quantise-generator``: write an eight-bit copy of a generator, judge it on held-out pictures, and record it in models.toml."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx

from .. import catalogue
from ..data import colour, folders, resize
from ..data.subjects import SUBJECTS
from ..evaluate.generators import BORDER, bicubic, compressed, noisy, unharmed, upscaler
from ..evaluate.measures import psnr
from ..export import int8

#: What the eight bits may cost, in dB on held-out pictures.
BUDGET = 0.1
#: What is done to the same pictures, and what the eight bits may cost there. Rounding alone costs hardly anything after an encoder.
HARMS = {
    "noise of 8 levels": (noisy(8.0, unharmed), 0.15),
    "x264 at crf 23": (compressed(23), 0.04),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``quantise-generator``."""
    parser.add_argument("model", type=Path, help="the float file; the copy is written beside it as NAME.int8.onnx")
    parser.add_argument("--subject", choices=tuple(SUBJECTS), default="general", help="whose pictures it is calibrated and judged on")
    parser.add_argument("--data", type=Path, default=folders.default_data(), help="folder with train/")
    parser.add_argument("--cache", type=Path, default=folders.default_cache(), help="what 'prepare' wrote, for subjects that are drawn over it")
    parser.add_argument("--pictures", type=int, default=40, help="to calibrate on, from train/; never from dev/")
    parser.add_argument("--judge", type=int, default=24, help="held-out pictures to judge the copy on, at most")
    parser.add_argument("--calibration", choices=tuple(int8.METHODS), default="minmax", help="how scales are taken from what was seen")
    parser.add_argument("--io", choices=("uint8", "float32"), default="uint8", help="what the copy takes and gives; uint8 converts nothing")
    parser.add_argument(
        "--in-place-of", type=Path, metavar="FILE",
        help="float file that the copy runs in place of, and is judged against, where MODEL was trained on for eight bits; default: MODEL",
    )  # fmt: skip
    parser.add_argument("--output", type=Path, help="default: NAME.int8.onnx beside that file")
    parser.add_argument("--no-record", action="store_true", help="leave models.toml as it is")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)


def quality(model: onnx.ModelProto, pairs: list[tuple[np.ndarray, np.ndarray]], threads: int) -> float:
    """Mean PSNR-Y in dB over (low, high) pairs, rounded to 8 bits, the border left out."""
    upscale, inner = upscaler(model, threads), slice(BORDER, -BORDER)
    return float(np.mean([psnr(*(colour.luma(p[inner, inner]) for p in (resize.to_u8(upscale(low)), high))) for low, high in pairs]))


def costs(model: onnx.ModelProto, copy: onnx.ModelProto, pairs: list[tuple[np.ndarray, np.ndarray]], threads: int) -> tuple[float, float]:
    """:func:`quality` of a float network and of its copy."""
    return quality(model, pairs, threads), quality(copy, pairs, threads)


def run(args: argparse.Namespace) -> int:
    """Quantise one generator. ValueError, and nothing written, if it costs more than :data:`BUDGET` or than one of :data:`HARMS` may: they are
    judged too, since training for eight bits can unlearn what the float network does with noisy or coded pictures."""
    ships = args.in_place_of or args.model
    for file in (args.model, ships):
        if not file.exists():
            raise FileNotFoundError(f"{file}: no such model")
    model, shipped = onnx.load(str(args.model)), onnx.load(str(ships))
    entry = catalogue.entry_of(ships.name, ships.parent)
    if entry and [float(value) for value in entry.get("range", (0.0, 1.0))] != [0.0, 1.0]:
        raise ValueError(f"{ships.name}: its values are {entry['range']} (models.toml); only networks of 0..1 can take samples as they are")
    planes = model.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    subject = SUBJECTS[args.subject]
    seen = list(subject.pairs(args.data, args.cache, args.pictures, False, args.seed))
    unseen = list(subject.pairs(args.data, args.cache, args.judge, True, args.seed))

    def tensor(low: np.ndarray) -> np.ndarray:
        given = resize.to_u8(colour.luma(low))[..., None] if planes == 1 else low
        return np.ascontiguousarray(given.transpose(2, 0, 1)[None]).astype(np.float32) / 255.0

    patches = [tensor(low) for low, _ in seen]
    copy = int8.quantised(model, patches, args.calibration, args.io == "uint8")
    least = float(np.mean([psnr(*(colour.luma(p[BORDER:-BORDER, BORDER:-BORDER]) for p in (bicubic(low), high))) for low, high in unseen]))
    before, after = costs(shipped, copy, unseen, args.threads)
    if before < least - 6.0:
        raise ValueError(f"{ships.name}: {before:.2f} dB where bicubic has {least:.2f}: are its values 0..1, and its channels RGB or luma?")
    said = f"{args.calibration}, {len(unseen)} held-out pictures: {before:.3f} dB in float32, {after:.3f} dB in int8"
    if before - after > BUDGET:
        raise ValueError(f"{args.model.name}: {said}: eight bits may cost {BUDGET} dB; train it with quantisation, or calibrate on more pictures")
    for harm, (damage, budget) in HARMS.items():
        before, after = costs(shipped, copy, [(damage(low), high) for low, high in unseen], args.threads)
        said += f"; after {harm} {before:.3f} and {after:.3f} dB"
        if before - after > budget:
            raise ValueError(f"{args.model.name}: {said}: there eight bits may cost {budget} dB; train it with quantisation on more of such pictures, or without it")
    output = args.output or ships.with_suffix(".int8.onnx")
    temporary = output.with_suffix(".tmp")
    temporary.write_bytes(copy.SerializeToString())
    temporary.replace(output)
    digest = catalogue.sha256_of(output)
    if not args.no_record:
        catalogue.extend(ships.name, {"int8-file": output.name, "int8-sha256": digest}, ships.parent)
    print(f"{output}: {output.stat().st_size} bytes, {said}\nint8-sha256 {digest}")
    return 0
