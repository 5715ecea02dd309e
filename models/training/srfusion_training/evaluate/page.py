"""``docs/results.md``: the table, the mask's numbers and the pictures of ``results`` as a page."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from . import fusion
from .mask import MASK_HEIGHTS, PADDINGS, SIGMAS, WIDENED
from .table import COLUMNS, FUSION, FUSION_PLAIN, ROWS, SOURCE

#: Deviations below this are of sums in another order: what no seed has a part in is the same with each.
ROUNDING = 1e-9


def ranks(table: dict[str, list[float]]) -> dict[str, int]:
    """Column -> place of the fusion row among the rows of the source's table, 1 is best; equal to the digits shown is equal."""
    result = {}
    for index, column in enumerate(COLUMNS):
        digits = 3 if "PSNR" in column else 4
        values = [round(table[row][index], digits) for row in (*ROWS, FUSION)]
        result[column] = 1 + sum(value > values[-1] for value in values)
    return result


def strip(panels: list[tuple[str, np.ndarray]], file: Path, side: int = 200) -> None:
    """Pictures side by side in a JPEG, each with its name above, enlarged to ``side`` px of width by repeating samples."""
    font = ImageFont.load_default(13)
    scale = max(1, round(side / panels[-1][1].shape[1]))
    tall = max(picture.shape[0] for _, picture in panels) * scale
    wide = max(picture.shape[1] for _, picture in panels) * scale
    columns = 4
    lines = -(-len(panels) // columns)
    image = Image.new("RGB", (columns * (wide + 4) - 4, lines * (tall + 22)), "white")
    pen = ImageDraw.Draw(image)
    for index, (name, picture) in enumerate(panels):
        x, y = index % columns * (wide + 4), index // columns * (tall + 22)
        pen.text((x + 2, y + 3), name, "black", font=font)
        shown = Image.fromarray(picture).resize((picture.shape[1] * scale, picture.shape[0] * scale), Image.Resampling.NEAREST)
        image.paste(shown, (x, y + 20))
    file.parent.mkdir(parents=True, exist_ok=True)
    image.save(file, quality=90, optimize=True)


def cell(table: dict[str, list[float]], row: str, index: int, deviation: float = 0.0) -> str:
    """A number, bold where it is the best of the source's five rows, in italics where it is the second; with its deviation over
    seeds, if there is one."""
    digits = 3 if "PSNR" in COLUMNS[index] else 4
    text = f"{table[row][index]:.{digits}f}" + (f" ± {deviation:.{digits}f}" if deviation > ROUNDING else "")
    values = sorted({round(table[other][index], digits) for other in (*ROWS, FUSION)}, reverse=True)
    if row in (*ROWS, FUSION):
        place = values.index(round(table[row][index], digits))
        return f"**{text}**" if place == 0 else f"*{text}*" if place == 1 else text
    return text


def by_seed(result: dict[str, Any], seeds: list[Any]) -> list[str]:
    """What the face-feature loss does to likeness, seed by seed; nothing for one seed."""
    if len(seeds) < 2:
        return []
    with_loss, without = "face with face-feature loss", "face"
    lines = ["Similarity by seed:", "", f"| seed | {without} | {with_loss} | difference |", "|---|---|---|---|"]
    for seed, table in zip(seeds, result["by-seed"]):
        first, second = table[without][-1], table[with_loss][-1]
        lines.append(f"| {seed} | {first:.4f} | {second:.4f} | {second - first:+.4f} |")
    return [*lines, ""]


def page(args: argparse.Namespace, result: dict[str, Any]) -> str:
    """docs/results.md."""
    table, common, mask = result["table"], result["common"], result["mask"]
    deviation = result.get("deviation") or {row: [0.0] * len(COLUMNS) for row in table}
    seeds = common.get("seeds") or []
    batch = common.get("recipe", {}).get("batch", args.batch)
    low, high = result["heights"]
    ordinal = ("best", "second best", "third", "fourth", "last")
    places = ranks(table)
    lines = [
        "# The method against its parts", "",
        "Made by `python -m srfusion_training results` (models/training). It asks the question of the source's Table 1: does fusing a",
        "general and a face generator under a face mask beat either of them alone, and one generator trained on both?", "",
        "## Table", "",
        "| | " + " | ".join(COLUMNS) + " |", "|---|" + "---|" * len(COLUMNS),
    ]  # fmt: skip
    for row in ("bicubic", *ROWS, FUSION_PLAIN, FUSION):
        lines.append(f"| {row} | " + " | ".join(cell(table, row, index, deviation[row][index]) for index in range(len(COLUMNS))) + " |")
    lines += [
        "", "PSNR in dB and SSIM on luma, bold: best, italics: second best of the rows that the source has (all but bicubic and the fusion",
        "with the plain face generator). The fusion row is " + ", ".join(f"{ordinal[place - 1]} in {column}" for column, place in places.items()) + ".", "",
        f"* **general**: {result['general-pictures']} pictures of {', '.join(args.sets)}, whole, 4 pixels of border left out. The shipped detector finds a face",
        f"  in {result['general-with-face']} of them: elsewhere the fusion is the general generator.",
        f"* **face**: {result['faces']} portraits of data/dev/face, made smaller so that the face is {low:.0f} to {high:.0f} px high at low resolution; measured whole,",
        f"  hair, clothes and background included, 4 pixels of border left out. The detector finds the face in {result['faces-found']}.",
        "* **similarity**: cosine of the face embeddings of the generated and the true portrait, aligned by the landmarks of faces.csv, mean.",
        "  The row with the face-feature loss was trained with a layer of the same network, so this column favours it and the fusion.",
        f"* **Rows**: one architecture ({common['architecture']}, {', '.join(f'{key} {value}' for key, value in common['shape'].items() if key != 'expansion')}),",
        f"  each trained for {common['steps']} steps of {batch} patches (or as many pixels of smaller ones) from one ancestor, a general generator,",
        f"  with one schedule. {args.note}".rstrip(),
        *([f"* **Seeds**: {len(seeds)} ({', '.join(map(str, seeds))}); every number is the mean over them, ± the standard deviation of a sample."] if len(seeds) > 1 else []),
        f"* **Fusion**: equations (1) to (3), general generator and the face generator with the face-feature loss, padding {args.padding:g}, sigma {args.sigma:g}, boxes of",
        "  the shipped detector on the low-resolution picture through the engine's steps (no tracking: these are single pictures).", "",
        *by_seed(result, seeds),
        *([args.finding, ""] if args.finding else []),
        "The source's numbers, with ESRGAN's network, DIV2K and FFHQ (PSNR / SSIM); only the order can be compared:", "",
        "| | DIV2K | FFHQ |", "|---|---|---|",
    ]  # fmt: skip
    lines += [f"| {row} | {first} | {second} |" for row, (first, second) in SOURCE.items()]
    lines += ["", "## Mask padding and sigma", ""]
    kinds = {kind: mask[kind] for kind in ("studio", "photograph") if kind in mask}
    lines += [
        f"PSNR-Y inside the face's box widened by {WIDENED:.0%} of its sides on each side, of fused pictures of {mask['pictures']} portraits of data/train that were held",
        f"out of training, faces of {' and '.join(f'{height:.0f}' for height in MASK_HEIGHTS)} px at low resolution, boxes shifted and resized at random as tracking does (3 % and 5 %), with the shipped",
        f"general-x4 and face-x4 (sha256 {mask['sha256'][0]}.. and {mask['sha256'][1]}..). **Studio**: the portraits as they are; hair, shoulders and backdrop are what the face generator has learned too.",
        "**Photograph**: head and shoulders cut out and set over photographs that were held out, which it has not. In brackets the area where the",
        "face generator runs, in areas of the box: its cost.", "",
        "![PSNR over padding](results/mask.png)", "",
    ]  # fmt: skip
    for kind, values in kinds.items():
        grid = {(p, s): value for p, s, value in values["grid"]}
        best = max(grid, key=grid.__getitem__)
        lines += [f"| {kind}: padding | " + " | ".join(f"sigma {s:g}" for s in SIGMAS) + " |", "|---|" + "---|" * len(SIGMAS)]
        for p in PADDINGS:
            lines.append(f"| {p:g} | " + " | ".join(f"{grid[p, s]:.3f} ({fusion.area(p, s):.1f})" for s in SIGMAS) + " |")
        text = f"{kind.capitalize()}: general-x4 alone {values['alone']['general']:.3f} dB, face-x4 alone {values['alone']['face']:.3f} dB. Best on this grid: padding {best[0]:g},"
        text += f" sigma {best[1]:g} with {grid[best]:.3f} dB at {fusion.area(*best):.1f} areas."
        if (args.padding, args.sigma) in grid:
            text += f" Padding {args.padding:g} and sigma {args.sigma:g}, used for the table: {grid[args.padding, args.sigma]:.3f} dB at {fusion.area(args.padding, args.sigma):.1f}."
        lines += ["", text, ""]
    if args.mask_note:
        lines += [args.mask_note, ""]
    lines += [
        "## Pictures", "", "Around the face, pixels doubled or repeated so that nothing is smoothed. Portraits: CivilServiceUSA (MIT); canada-*: Canada face set, CC-BY 4.0,",
        "figshare 4220517; both cut and enlarged here. No picture of the general sets is shown, because their licence is not stated.", "",
    ]  # fmt: skip
    for file in result["pictures"]:
        lines += [f"![{file}](results/{file})", ""]
    return "\n".join(lines).rstrip() + "\n"
