"""Rows and columns of the source's Table 1, and its own numbers."""

from __future__ import annotations

#: Row of the table -> checkpoint of that name.
ROWS = {
    "general": "general",
    "face": "face",
    "general+face mixed": "mixed",
    "face with face-feature loss": "face-feature",
}
FUSION, FUSION_PLAIN = "fusion", "fusion with plain face"
#: The source's Table 1: DIV2K and FFHQ, PSNR / SSIM.
SOURCE = {
    "general": ("28.793 / 0.799", "28.438 / 0.845"),
    "face": ("28.315 / 0.788", "28.911 / 0.842"),
    "general+face mixed": ("28.588 / 0.793", "28.720 / 0.847"),
    "face with face-feature loss": ("28.317 / 0.791", "29.037 / 0.841"),
    FUSION: ("28.846 / 0.797", "29.227 / 0.846"),
}
COLUMNS = ("general PSNR", "general SSIM", "face PSNR", "face SSIM", "similarity")
