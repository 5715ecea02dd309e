"""What a generator does to text: PSNR-Y inside the box of a line, and how much of it an independent program reads.

Lines of plain letters and digits in fonts that are held out of training, over photographs that are, are drawn at four times a height of
their capitals, made smaller by the kit's bicubic, enlarged by each method and compared inside the line's box, :data:`AROUND`
low-resolution pixels larger on each side: what a mask would cover.

Reading is by the recogniser of PP-OCRv4 (package rapidocr-onnxruntime, optional), which has never seen these networks: it is a judge
alone, nothing is trained by it. A character counts as read where it is part of the alignment that needs the fewest changes; spaces do
not count.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ..data import colour, fonts, resize, text, words
from ..data.pictures import Pictures
from .generators import Damage, Method, unharmed
from .measures import psnr, ssim

#: Heights of capital letters in low-resolution pixels.
TEXT_HEIGHTS = (8, 10, 12, 16)
#: Low-resolution pixels around a line that are measured with it.
AROUND = 2

#: uint8[h, w, 3] of one line -> what it says.
Reader = Callable[[np.ndarray], str]


@dataclasses.dataclass(frozen=True)
class Sample:
    """A drawn line and where it is."""

    high: np.ndarray  #: uint8[4h, 4w, 3]
    text: str
    box: tuple[int, int, int, int]  #: x0, y0, x1, y1 in low-resolution pixels, :data:`AROUND` included


def samples(cache: Path, height: float, count: int, seed: int, held_out: bool = True) -> list[Sample]:
    """``count`` lines with capitals of ``height`` low-resolution pixels, a third of them upright, none of them cut."""
    artist = text.Artist(Pictures(cache, "general", held_out), fonts.faces(held_out), seed)
    result = []
    while len(result) < count:
        capital = 4.0 * height
        says = words.plain(artist.random)
        block = text.set_lines([says], artist.face().at(text.SUPER * capital), capital, 2.0, 0.0)
        size = tuple(int(length + 5.0 * capital) // 8 * 8 for length in (block.width, block.height))
        image = artist.background(*size)
        centre = tuple(side / 2 + float(artist.random.uniform(-4, 4)) for side in size)
        lines, _ = artist.paint(image, block, artist.view(block, centre, 0.6))  # type: ignore[arg-type]
        if len(lines) != 1 or not lines[0].whole:
            continue
        limits = size[0] // 4, size[1] // 4
        x0, y0, x1, y1 = lines[0].box
        low, top = (max(int(v // 4) - AROUND, 0) for v in (x0, y0)), (int(-(-v // 4)) + AROUND for v in (x1, y1))
        box = (*low, *(min(v, limit) for v, limit in zip(top, limits)))
        result.append(Sample(artist.lit(image), says, box))  # type: ignore[arg-type]
    return result


def characters_read(truth: str, said: str) -> int:
    """How many characters of ``truth`` were read right, less what was read besides; at least 0. Spaces do not count."""
    truth, said = truth.replace(" ", ""), said.replace(" ", "")
    return max(0, len(truth) - words.characters_wrong(truth, said))


def reader() -> Reader:
    """The recogniser of PP-OCRv4. ImportError with a way on if its package is not here."""
    try:
        from rapidocr_onnxruntime import RapidOCR
    except ImportError as error:
        raise ImportError("rapidocr-onnxruntime: not installed; pip install -e '.[ocr]', or leave out --read") from error
    engine = RapidOCR()

    def read(picture: np.ndarray) -> str:
        lines, _ = engine(np.ascontiguousarray(picture[..., ::-1]), use_det=False, use_cls=False, use_rec=True)
        return " ".join(str(line[0]) for line in lines or [])

    return read


def measure_text(
    cache: Path, methods: dict[str, Method], count: int, damage: Damage = unharmed, read: Reader | None = None, seed: int = 20,
    held_out: bool = True,
    heights: Sequence[int] = TEXT_HEIGHTS,
) -> dict[str, dict[str, dict[str, float]]]:
    """"8 px".. -> method -> mean PSNR and SSIM inside the lines' boxes, and the part of the characters that is read if ``read`` is
    given; with "truth" as a last method, which says what can be read at all."""
    table: dict[str, dict[str, dict[str, float]]] = {}
    for height in heights:
        scores: dict[str, list[tuple[float, float]]] = {method: [] for method in methods}
        right = dict.fromkeys([*methods, "truth"], 0)
        total = 0
        for sample in samples(cache, height, count, seed + height, held_out):
            low = damage(resize.resize_u8(sample.high, 0.25))
            x0, y0, x1, y1 = (4 * value for value in sample.box)
            total += len(sample.text.replace(" ", ""))
            for method, upscale in [*methods.items(), ("truth", None)]:
                found = (sample.high if upscale is None else upscale(low))[y0:y1, x0:x1]
                if upscale is not None:
                    mine, true = colour.luma(found), colour.luma(sample.high[y0:y1, x0:x1])
                    scores[method].append((psnr(mine, true), ssim(mine, true)))
                if read is not None:
                    right[method] += characters_read(sample.text, read(found))
        row = {method: dict(zip(("psnr", "ssim"), map(float, np.mean(values, axis=0)))) for method, values in scores.items()}
        if read is not None:
            row["truth"] = {}
            for method, value in right.items():
                row[method]["read"] = value / total
        table[f"{height} px"] = row
    return table


def text_table(table: dict[str, dict[str, dict[str, float]]]) -> str:
    """Rows of heights, columns of methods: PSNR-Y / SSIM-Y, and the characters read, as Markdown."""
    methods = list(next(iter(table.values())))
    lines = ["| height of capitals | " + " | ".join(methods) + " |", "|---|" + "---|" * len(methods)]
    for height, row in table.items():
        cells = []
        for values in row.values():
            parts = [f"{values['psnr']:.2f} / {values['ssim']:.4f}"] if "psnr" in values else []
            cells.append(", ".join(parts + ([f"{100 * values['read']:.1f} %"] if "read" in values else [])))
        lines.append(f"| {height} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
