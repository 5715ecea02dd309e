"""The free fonts that text is rendered with: their families, their licences, and which are never trained on.

None of them is in this repository. They are Debian packages (:data:`FAMILIES` names them), read from where the system keeps its fonts.
Whole designs are held out: a family together with those drawn after it (Carlito is Lato with other widths).
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

#: Where Linux keeps fonts.
FOLDERS = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"))


@dataclasses.dataclass(frozen=True)
class Family:
    """A design: the families of one look, as the files name them."""

    names: tuple[str, ...]
    package: str  #: of Debian
    licence: str  #: the publisher's, of those offered the one that is used
    held_out: bool = False


FAMILIES = (
    Family(("DejaVu Sans", "DejaVu Serif", "DejaVu Sans Mono"), "fonts-dejavu-core, fonts-dejavu-extra", "Bitstream Vera"),
    Family(("Liberation Sans", "Liberation Sans Narrow", "Liberation Serif", "Liberation Mono"), "fonts-liberation", "OFL-1.1"),
    Family(("Noto Sans", "Noto Serif", "Noto Sans Display", "Noto Serif Display", "Noto Sans Mono"), "fonts-noto-core", "OFL-1.1"),
    Family(("Open Sans", "Open Sans Condensed"), "fonts-open-sans", "Apache-2.0"),
    Family(("Roboto", "Roboto Condensed"), "fonts-roboto-unhinted", "Apache-2.0"),
    Family(("Roboto Slab",), "fonts-roboto-slab", "Apache-2.0"),
    Family(("Inter", "Inter Display"), "fonts-inter", "OFL-1.1"),
    Family(("Andika",), "fonts-sil-andika", "OFL-1.1"),
    Family(("Charis SIL",), "fonts-sil-charis", "OFL-1.1"),
    Family(("Gentium Plus", "Gentium Book Plus"), "fonts-sil-gentiumplus", "OFL-1.1"),
    Family(("EB Garamond",), "fonts-ebgaramond", "OFL-1.1"),
    Family(("Linux Libertine O", "Linux Libertine Display O", "Linux Biolinum O"), "fonts-linuxlibertine", "OFL-1.1"),
    Family(("Bebas Neue",), "fonts-bebas-neue", "OFL-1.1"),
    Family(("League Spartan",), "fonts-league-spartan", "OFL-1.1"),
    Family(("Cabin",), "fonts-cabin", "OFL-1.1"),
    Family(("Comfortaa",), "fonts-comfortaa", "OFL-1.1"),
    Family(("Dosis",), "fonts-dosis", "OFL-1.1"),
    Family(("Fira Code",), "fonts-firacode", "OFL-1.1"),
    Family(("Hack",), "fonts-hack", "MIT and Bitstream Vera"),
    Family(("Inconsolata",), "fonts-inconsolata", "OFL-1.0"),
    Family(("Anonymous Pro",), "fonts-anonymous-pro", "OFL-1.1"),
    Family(("M PLUS 1", "M PLUS 2", "M PLUS 1 Code", "M PLUS Code Latin 50", "M PLUS Code Latin 60"), "fonts-mplus", "OFL-1.1"),
    Family(("Lobster Two",), "fonts-lobstertwo", "OFL-1.1"),
    Family(("Oxygen-Sans", "Oxygen Mono"), "fonts-oxygen", "OFL-1.1"),
    Family(("Play",), "fonts-play", "OFL-1.1"),
    Family(("Sora",), "fonts-sora", "OFL-1.1"),
    Family(("Lato", "Carlito"), "fonts-lato, fonts-crosextra-carlito", "OFL-1.1", held_out=True),
    Family(("Cantarell",), "fonts-cantarell", "OFL-1.1", held_out=True),
    Family(("Karla",), "fonts-karla", "OFL-1.1", held_out=True),
    Family(("Quicksand", "Quicksand Light", "Quicksand Medium"), "fonts-quicksand", "OFL-1.1", held_out=True),
    Family(("Vollkorn",), "fonts-vollkorn", "OFL-1.1", held_out=True),
    Family(("Caladea",), "fonts-crosextra-caladea", "Apache-2.0", held_out=True),
    Family(("Courier Prime", "Courier Prime Code", "Courier Prime Sans"), "fonts-courier-prime", "OFL-1.1", held_out=True),
    Family(("JetBrains Mono",), "fonts-jetbrains-mono", "Apache-2.0", held_out=True),
    Family(("Yanone Kaffeesatz",), "fonts-yanone-kaffeesatz", "OFL-1.1", held_out=True),
    Family(
        ("Routed Gothic", "Routed Gothic Narrow", "Routed Gothic Wide", "Routed Gothic Half Italic"),
        "fonts-routed-gothic", "OFL-1.1", held_out=True,
    ),
)  # fmt: skip

#: Weights so thin that nothing of them is left at a few pixels.
THIN = ("thin", "extralight", "extra light", "hairline")
#: Scripts besides plain Latin, and what a font must draw to be used for them.
SCRIPTS = {"accents": "äöüßéèêçñåøÄÖÜÉ", "greek": "αβγδεθλπφωΩΣ", "cyrillic": "абвгдежзийлюяЖДЯ"}
#: Size in points at which a face is measured.
_MEASURED = 200


@dataclasses.dataclass(frozen=True)
class Face:
    """One style of a family, in one file."""

    file: str
    index: int
    family: str
    style: str
    capital: float  #: height of "H" in units of the size
    scripts: frozenset[str]  #: of :data:`SCRIPTS`, those that it draws

    def at(self, capital: float) -> ImageFont.FreeTypeFont:
        """The font at the size where "H" is ``capital`` pixels high."""
        return _font(self.file, self.index, round(capital / self.capital, 1))


@functools.lru_cache(maxsize=512)
def _font(file: str, index: int, size: float) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(file, size, index=index, layout_engine=ImageFont.Layout.BASIC)


def _glyph(font: ImageFont.FreeTypeFont, character: str) -> bytes:
    """How a character looks, to tell it from the sign for a missing one."""
    image = Image.new("L", (48, 48))
    ImageDraw.Draw(image).text((8, 4), character, fill=255, font=font)
    return image.tobytes()


def _draws(font: ImageFont.FreeTypeFont, characters: str) -> bool:
    missing = _glyph(font, "\U0010fffe"), _glyph(font, " ")
    return all(_glyph(font, character) not in missing for character in characters)


def _files(folders: Sequence[Path]) -> Iterator[Path]:
    for folder in folders:
        for root, _, names in sorted(os.walk(folder)):
            yield from (Path(root, name) for name in sorted(names) if name.lower().endswith((".ttf", ".otf", ".ttc")))


@functools.lru_cache(maxsize=8)
def _found(folders: tuple[Path, ...]) -> dict[tuple[str, str], Face]:
    """(family, style) -> face, of all families; of two files of one face the first by name."""
    wanted = {name for family in FAMILIES for name in family.names}
    result: dict[tuple[str, str], Face] = {}
    for file in _files(folders):
        try:
            font = ImageFont.truetype(str(file), 32, layout_engine=ImageFont.Layout.BASIC)
        except OSError:  # a bitmap font, or one that FreeType cannot read
            continue
        name, style = font.getname()
        # Several files of Debian's call all their styles alike: the file's name tells them apart.
        key = name or "", file.stem
        if name not in wanted or key in result or any(thin in f"{style} {file.stem}".lower() for thin in THIN):
            continue
        if not _draws(font, "AHMgkqxz0189"):
            continue
        box = ImageFont.truetype(str(file), _MEASURED, layout_engine=ImageFont.Layout.BASIC).getbbox("H")
        scripts = frozenset(script for script, characters in SCRIPTS.items() if _draws(font, characters))
        result[key] = Face(str(file), 0, name or "", style or "", (box[3] - box[1]) / _MEASURED, scripts)
    return result


def faces(held_out: bool, folders: Sequence[Path] = FOLDERS) -> list[list[Face]]:
    """The faces of each design that is here and is held out, or is not; one list a design. FileNotFoundError if there is none."""
    found = _found(tuple(folders))
    designs = [
        [face for (name, _), face in found.items() if name in family.names] for family in FAMILIES if family.held_out == held_out
    ]
    designs = [design for design in designs if design]
    if not designs:
        packages = sorted({part for family in FAMILIES if family.held_out == held_out for part in family.package.split(", ")})
        places = ", ".join(str(folder) for folder in folders)
        raise FileNotFoundError(f"{places}: holds none of the fonts that text is drawn with; apt-get install {' '.join(packages)}")
    return designs
