#!/usr/bin/env python3
"""The natural look, to be looked at and in motion: pictures and clips at detail 0, 0.5 and 1, beside the truth and, if it is there, RealESRGAN_x4plus.

Usage: benches/natural.py PROGRAM_FOLDER --data DATA --pages FOLDER [--general NAME] [--face NAME] [--other NAME] [--other-clips]

PROGRAM_FOLDER has the command of a release build. Ten pictures of DATA and frames of three clips of DATA/dev, shrunk by four, half of the pictures and all clips then
coded by x264, are drawn by `srfusion upscale --detail`, and a part of each goes into a JPEG in FOLDER: bicubic, detail 0, 0.5, 1, the other network's, the
truth. `srfusion eval --detail` gives PSNR, E*warp (the error between neighbouring frames moved onto each other) and the distance of the embeddings of faces of each clip; with --other-clips of the
other network too, which takes minutes. Needs ffmpeg, Pillow and NumPy. `--other realesrgan-x4plus` takes `srfusion models get realesrgan-x4plus` before.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw

ROOT = Path(__file__).resolve().parent.parent
SIDE, BAR = 256, 18
DETAILS = ("0", "0.5", "1")
#: Picture, share of its sides, where the part that is shown has its centre (share of the sides), height of the shrunk face for portraits instead of the share, and the
#: rate factor of x264 or None. All may be shown by their licences (models/ATTRIBUTION.tsv, NOTICE); those of train/ are held out from training.
PICTURES = [
    ("train/general2/greeceplan2026-ancient-messene.webp", 1.0, (0.5, 0.5), None, None),
    ("train/general2/greeceplan2026-corinth-canal.webp", 1.0, (0.5, 0.5), None, 28),
    ("train/general2/greeceplan2026-polylimnio.webp", 1.0, (0.5, 0.5), None, None),
    ("train/general2/flywayweb-01-asian-openbill-stork-colony-tree.webp", 1.0, (0.5, 0.5), None, 28),
    ("train/general2/thailand2026-maekampong.webp", 1.0, (0.5, 0.5), None, None),
    ("train/general/budgie-canyon-wren.c9b77dd.jpg", 0.4, (0.5, 0.5), None, 28),
    ("dev/face/lucy-mcbath.png", None, (0.5, 0.45), 48, None),
    ("dev/face/jamaal-bowman.png", None, (0.5, 0.45), 32, 28),
    ("dev/face/canada-010f.png", None, (0.5, 0.45), 32, None),
    ("dev/face/canada-098m.png", None, (0.5, 0.45), 48, 28),
]
#: Clip, first second, filter that makes the true frames, and where to look.
CLIPS = [
    ("stage-zoom-faces.mp4", 1, "null", (0.85, 0.35)),
    ("static-indoor-signer-1.mkv", 1, "null", (0.5, 0.35)),
    ("portrait-moving.mp4", 1, "scale=640:360:flags=area", (0.5, 0.4)),
]
FRAMES, SHOWN = 24, 12


def run(*words: object) -> str:
    result = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"{words[0]} {words[1]} ended with {result.returncode}: {result.stderr.strip()}")
    return result.stdout


def coded(picture: Image.Image, crf: int, folder: Path) -> Image.Image:
    """The picture as one frame of H.264; sides made even by leaving the last row or column out."""
    picture = picture.crop((0, 0, picture.width // 2 * 2, picture.height // 2 * 2))
    picture.save(folder / "before.png")
    run("ffmpeg", "-v", "error", "-y", "-i", folder / "before.png", "-pix_fmt", "yuv420p", "-c:v", "libx264", "-crf", crf, folder / "coded.mkv")
    run("ffmpeg", "-v", "error", "-y", "-i", folder / "coded.mkv", folder / "after.png")
    return Image.open(folder / "after.png").convert("RGB")


def face_height(data: Path, name: str) -> float:
    """Height of the face of a portrait, as a share of the picture's."""
    with open(data / "faces.csv", newline="", encoding="utf-8") as file:
        row = next(row for row in csv.DictReader(file) if row["path"] == name)
    return float(row["y1"]) - float(row["y0"])


def true_picture(data: Path, name: str, share: float | None, height: int | None) -> Image.Image:
    """The picture as it is to be drawn: portraits so that their face has four times ``height``, others at ``share`` of their size and at most 512 pixels of their middle."""
    picture = Image.open(data / name).convert("RGB")
    scale = 4 * height / (face_height(data, name) * picture.height) if height is not None else share
    if scale != 1.0:
        picture = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.LANCZOS)
    width, height = (side // 8 * 8 if height is not None else min(side // 8 * 8, 512) for side in picture.size)
    left, top = (picture.width - width) // 2, (picture.height - height) // 2
    return picture.crop((left, top, left + width, top + height))


def sheet(columns: list[tuple[str, Image.Image]], centre: tuple[float, float], file: Path) -> None:
    """A part of each column's picture beside one another, with what they are above."""
    width, height = columns[0][1].size
    side = (min(SIDE, width), min(SIDE, height))
    left, top = (round(min(max(share * length - part / 2, 0), length - part)) for share, length, part in zip(centre, (width, height), side))
    page = Image.new("RGB", (len(columns) * (side[0] + 4) - 4, side[1] + BAR), "white")
    for number, (name, picture) in enumerate(columns):
        at = number * (side[0] + 4)
        page.paste(picture.crop((left, top, left + side[0], top + side[1])), (at, BAR))
        ImageDraw.Draw(page).text((at + 4, 3), name, fill="black")
    page.save(file, quality=90)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pages", type=Path, required=True)
    parser.add_argument("--general", default="general-x4-camera", help="generator whose partner is looked at")
    parser.add_argument("--face", default="face-x4-camera", help="likewise, of faces")
    parser.add_argument("--other", help="a generator to look at beside them, drawn without one for faces")
    parser.add_argument("--other-clips", action="store_true", help="have it draw all frames of the clips")
    parser.add_argument("--only", choices=("pictures", "clips"))
    args = parser.parse_args()
    os.environ.setdefault("SRFUSION_MODELS", str(ROOT / "models"))
    srfusion = args.program / "srfusion"
    ours = ["--general-model", args.general, "--face-model", args.face]
    other = ["--general-model", args.other, "--objects", "none"]
    args.pages.mkdir(parents=True, exist_ok=True)
    embedding = args.data / "dev/models/mobilefacenet-embedding.onnx"

    def drawn(low: Path, folder: Path) -> list[tuple[str, Image.Image]]:
        columns = []
        for name, words in [(f"detail {detail}", [*ours, "--detail", detail]) for detail in DETAILS] + ([(args.other, other)] if args.other else []):
            run(srfusion, "upscale", low, folder / "high.png", "-q", *words)
            columns.append((name, Image.open(folder / "high.png").convert("RGB")))
        return columns

    def looked_at(true: Image.Image, low: Image.Image, centre: tuple[float, float], file: Path, folder: Path) -> None:
        low.save(folder / "low.png")
        enlarged = low.resize((4 * low.width, 4 * low.height), Image.Resampling.BICUBIC)
        sheet([("bicubic", enlarged), *drawn(folder / "low.png", folder), ("true", true)], centre, file)
        print(file.name, flush=True)

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name, share, centre, height, crf in PICTURES if args.only != "clips" else []:
            true = true_picture(args.data, name, share, height)
            low = true.resize((true.width // 4, true.height // 4), Image.Resampling.BICUBIC)
            low = low if crf is None else coded(low, crf, folder)
            page = Path(name).name.split(".")[0] + ("" if crf is None else f"-crf{crf}") + ".jpg"
            looked_at(true, low, centre, args.pages / page, folder)
        for name, second, filters, centre in CLIPS if args.only != "pictures" else []:
            clip, shrunk = folder / "true.mkv", folder / "low.mkv"
            run("ffmpeg", "-v", "error", "-y", "-ss", second, "-i", args.data / "dev/video" / name, "-vf", f"{filters},crop=floor(iw/8)*8:floor(ih/8)*8", "-frames:v", FRAMES,
                "-an", "-c:v", "libx264", "-qp", 0, "-pix_fmt", "yuv420p", clip)
            run("ffmpeg", "-v", "error", "-y", "-i", clip, "-vf", "scale=iw/4:ih/4:flags=bicubic", "-c:v", "libx264", "-crf", 23, "-pix_fmt", "yuv420p", shrunk)
            for of in (clip, shrunk):
                run("ffmpeg", "-v", "error", "-y", "-i", of, "-vf", f"select=eq(n\\,{SHOWN})", "-frames:v", 1, of.with_suffix(".png"))
            true, low = (Image.open(of.with_suffix(".png")).convert("RGB") for of in (clip, shrunk))
            looked_at(true, low, centre, args.pages / f"{Path(name).stem}-crf23.jpg", folder)
            ways = [(f"detail {detail}", [*ours, "--detail", detail]) for detail in DETAILS]
            for what, words in ways + ([(args.other, other)] if args.other_clips else []):
                found = json.loads(run(srfusion, "eval", clip, "--json", "-q", "--samples", 2, "--deterministic", "true", "--embedding", embedding, *words))["summary"]
                numbers = ", ".join(f"{key} {found[key]:.5g}" for key in ("psnr", "warping_error", "embedding_distance") if found.get(key) is not None)
                print(f"{Path(name).stem}, {what}: {numbers}", flush=True)


if __name__ == "__main__":
    main()
