"""What is known of the photographs of the data folder: which hold text, and where there are faces in them, so that no detector is taught that
either is background, and that faces as cameras see them are found.

`faces_in_photographs.csv` beside this file: what YuNet (MIT) found at half, once and twice the size of train/general and train/general2, looked at
one by one, and a few more that our own detector found: "face" for faces of living people that a person sees there, "ignore" where it cannot be told or where a detector may do as it likes
(heads from behind, helmets, statues, drawings, faces of few pixels), and for what YuNet was unsure of (scores of 0.5 to 0.62, less than 40 pixels) in
the same photographs, which nobody looked at. "video/NAME#INDEX" is a frame of a clip of train/video, counted from 0 (:func:`cutouts.clip_frames`). What it found and is none (rocks, beans, leaves) is not there: such places
are background, and hard ones.
"""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import numpy as np


@dataclasses.dataclass(frozen=True)
class KnownFaces:
    """The faces of one photograph, as fractions of its width and height."""

    boxes: np.ndarray  #: f64[n, 4], x0, y0, x1, y1
    points: np.ndarray  #: f64[n, 5, 2]
    ignored: np.ndarray  #: f64[m, 4]: boxes that count neither way


def known_faces() -> dict[str, KnownFaces]:
    """By the file's name; a photograph that is not named has none."""
    rows: dict[str, list[dict[str, str]]] = {}
    with open(Path(__file__).with_name("faces_in_photographs.csv"), newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            rows.setdefault(Path(row["photograph"]).name, []).append(row)

    def boxes(of: list[dict[str, str]], kind: str) -> np.ndarray:
        return np.array([[float(row[key]) for key in ("x0", "y0", "x1", "y1")] for row in of if row["kind"] == kind]).reshape(-1, 4)

    def points(of: list[dict[str, str]]) -> np.ndarray:
        return np.array([[[float(row[f"lx{k}"]), float(row[f"ly{k}"])] for k in range(5)] for row in of if row["kind"] == "face"]).reshape(-1, 5, 2)

    return {name: KnownFaces(boxes(of, "face"), points(of), boxes(of, "ignore")) for name, of in rows.items()}


#: Names of files of train/general and train/general2: those in which PP-OCRv4 found a word (rapidocr-onnxruntime 1.4.4, all its
#: findings, right or wrong), and four streets and stations. A photograph that is not of that folder is taken to hold none.
WITH_TEXT = frozenset(
    """
    budgie-beacon-street-sunset.b3d3408.jpg budgie-casa-mila.ca3eecb.jpg budgie-kitten-on-lawn.c6a3467.jpg
    budgie-motherboard-circuits.629a1a4.jpg budgie-orange-hallway.964846a.jpg budgie-solaris-grapes.be91d01.jpg cathedra-01-11426.webp
    cathedra-01-11454.webp cathedra-01.webp cathedra-03-11468.webp cathedra-03.webp cathedra-04.webp
    commonsimaging-oregon-scientific-ds6639-dsc-0307.webp elementary-Cheng-Feng.14dcf01.jpg elementary-Lighthouse.d815991.jpg
    elementary-Mr.-Lee.0477fc7.jpg elementary-Musca_domestica.a3ca25f.jpg explorechongqi-beicang.webp
    explorechongqi-chongqing-hotpot.webp explorechongqi-chongqing-university.webp explorechongqi-chongqing-xiaomian.webp
    explorechongqi-ciqikou.webp explorechongqi-cqut.webp explorechongqi-dazu-rock-carvings.webp explorechongqi-guanyinqiao.webp
    explorechongqi-hongyadong.webp explorechongqi-jiefangbei.webp explorechongqi-shancheng-alley.webp
    explorechongqi-southwest-university.webp explorechongqi-swupl.webp explorechongqi-yangtze-cableway.webp
    flywayweb-02-sundarbans-mangrove-boat-river.webp greeceplan2026-agia-sofia.webp greeceplan2026-aphaia.webp greeceplan2026-plaka.webp
    greeceplan2026-varvakios.webp guidarodi2026-afandou-gasse.webp hangzhoutravel-autumn.webp hangzhoutravel-braised-pork.webp
    hangzhoutravel-east-station.webp hangzhoutravel-hefang.webp hangzhoutravel-hero-transport.webp hangzhoutravel-lingyin.webp
    hangzhoutravel-summer.webp hangzhoutravel-winter.webp hangzhoutravel-wulin.webp hokkaidotrippl-photo-11888.webp
    metadataextrac-canon-eos-350d.webp metadataextrac-d22db5be7594c17a18a047ca9264ea0a.webp metadataextrac-kodak-dx4900-zoom.webp
    metadataextrac-minolta-dimage-s304.webp metadataextrac-nikon-coolpix-p7000.webp metadataextrac-nikon-d40.webp
    metadataextrac-nikon-d60.webp metadataextrac-olympus-digital-800.webp metadataextrac-panasonic-fx7.webp
    metadataextrac-pentax-optio-430.webp metadataextrac-samsung-sm-j327t1.webp metadataextrac-samsung-sm-n900a-galaxy-note-3.webp
    metadataextrac-sony-dsc-hx5v-2.webp metadataextrac-sony-ericsson-u10i.webp opencvdoc-scenetext-segmented-word01.webp
    opencvdoc-scenetext-segmented-word02.webp popos-kait-herzog-8242.f1946f1.jpg pyconfhyderaba-piggy-bank.webp
    responsiveimag-wallaby.webp smarttechinnov-retail-storefront.webp statesvisited-05-chicago.jpg
    sztrafficmuseu-airport-terminal-real.webp testassets-book-beside-flowers.webp testassets-japanese-shop.webp
    thailand2026-hotsprings.webp transiberianau-campo-di-giove-11689.webp transiberianau-castel-di-sangro-11686.webp
    transiberianau-castel-di-sangro.webp transiberianau-palena-11677.webp transiberianau-roccaraso-11681.webp
    transiberianau-sulmona-fermata.webp travel-duoliang-station.webp travel-mr-brown-avenue.webp travel-sanxiantai.webp
    ubuntukylinwal-bridgecity.webp ubuntukylinwal-dancing-swan.webp ubuntukylinwal-easy3.webp ubuntukylinwal-night-in-jinzhou-bay.webp
    ubuntukylinwal-northern-riversouth.webp ubuntukylinwal-old-street.webp ubuntumateartw-simplematetunnel.webp
    viaggiotorinov-piazza-erbe.webp website-01-tca.webp website-akihabara-color-70.webp website-hanny-naibaho-original.webp
    website-laffland.webp website-ramiro-priegue-palacio.webp wienguide-nussberg.webp
    """.split()
)
