"""Reads a record of what was drawn by what as docs/evidence.md defines it, and reckons again what it says, with nothing of srfusion's own:
frames are decoded by ffmpeg, sums are hashlib's.

Usage: record.py RECORD INPUT OUTPUT, videos whose samples are bytes. Prints what was found as JSON; ends with an error that names the frame.
"""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

COLUMNS, ROWS = 8, 6


def shapes(side: dict) -> list[tuple[int, int]]:
    """Width and height of each plane of bytes."""
    width, height = side["width"], side["height"]
    half = ((width + 1) // 2, (height + 1) // 2)
    known = {"I420": [(width, height), half, half], "Y444": [(width, height)] * 3, "RGB": [(3 * width, height)]}
    return known[side["format"]]


def frames(path: Path, side: dict):
    """The frames of a video, each the bytes of its planes."""
    pixels = {"I420": "yuv420p", "Y444": "yuv444p", "RGB": "rgb24"}[side["format"]]
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-map", "0:v:0", "-fps_mode", "passthrough", "-f", "rawvideo",
               "-pix_fmt", pixels, "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as decoder:
        size = sum(width * height for width, height in shapes(side))
        while len(data := decoder.stdout.read(size)) == size:
            yield data


def means(data: bytes, side: dict) -> list[int]:
    """The mean of each tile of each component, in sixteenths, rounded down."""
    found, start = [], 0
    for width, height in shapes(side):
        plane = data[start:start + width * height]
        start += width * height
        for components in range(3 if side["format"] == "RGB" else 1):
            step = 3 if side["format"] == "RGB" else 1
            samples = width // step
            for row in range(ROWS):
                lines = range(row * height // ROWS, (row + 1) * height // ROWS)
                for column in range(COLUMNS):
                    left, right = column * samples // COLUMNS, (column + 1) * samples // COLUMNS
                    total = sum(sum(plane[y * width + components + step * left:y * width + step * right:step]) for y in lines)
                    count = (right - left) * len(lines)
                    found.append(16 * total // count if count else 0)
    return found


class Pictures:
    """Where the pixels of frames come from."""

    def __init__(self, side: dict) -> None:
        self.width, self.height = side["width"], side["height"]
        self.drawn: dict[int, bytes] = {}
        self.faces: dict[int, list] = {}
        self.counts = {"drawn": 0, "kept": 0, "interpolated": 0, "covered": 0, "parts_kept": 0}

    def mark(self, picture: bytearray, rects: list, value: int, number: int) -> int:
        for x, y, width, height in rects:
            for line in range(y, y + height):
                at = slice(line * self.width + x, line * self.width + x + width)
                assert not any(picture[at]), f"frame {number}: {x},{line} comes from two places"
                picture[at] = bytes([value]) * width
        return sum(width * height for _, _, width, height in rects)

    def check(self, line: dict, first: int) -> None:
        """`first` is the first frame of its segment: nothing is kept from before."""
        number = line["frame"]
        picture = bytearray(self.width * self.height)
        counts = self.counts
        counts["drawn"] += self.mark(picture, line.get("general", {}).get("rects", []), 1, number)
        counts["interpolated"] += self.mark(picture, line.get("interpolated", []), 2, number)
        self.drawn[number] = bytes(picture)
        for field, value in (("kept", 1), ("owed", 2)):
            for kept in line.get(field, []):
                origin = kept["from"]
                assert first <= origin < number, f"frame {number} keeps what frame {origin} drew"
                counts["kept"] += self.mark(picture, kept["rects"], 3, number)
                for x, y, width, height in kept["rects"]:
                    for row in range(y, y + height):
                        then = self.drawn[origin][row * self.width + x:row * self.width + x + width]
                        assert then == bytes([value]) * width, f"frame {number}: frame {origin} did not draw {x},{row}"
        counts["covered"] += self.mark(picture, line.get("covered", []), 4, number)
        assert 0 not in picture, f"frame {number}: some pixels come from nowhere"
        face = line.get("face", {})
        self.faces[number] = face.get("rects", [])
        for part in face.get("parts", []):
            origin = part.get("from", number)
            assert first <= origin <= number
            counts["parts_kept"] += origin < number
            left, top, width, height = part["of"]
            inside = [r for r in self.faces[origin]
                      if left <= r[0] and top <= r[1] and r[0] + r[2] <= left + width and r[1] + r[3] <= top + height]
            area = sum(r[2] * r[3] for r in inside)
            assert area == width * height, f"frame {number}: frame {origin} did not draw the face at {part['of']}"
        for x, y, width, height in line.get("covered", []):
            parts = [part["rect"] for part in face["parts"]]
            assert any(p[0] <= x and p[1] <= y and x + width <= p[0] + p[2] and y + height <= p[1] + p[3] for p in parts), \
                f"frame {number}: nothing hides {x},{y}"


def main() -> None:
    record, source, result = (Path(path) for path in sys.argv[1:])
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    header, end = lines[0], lines[-1]
    assert header["line"] == "header" and header["record"] == 1 and end["line"] == "end"
    assert header["input"]["sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    sides = header["formats"]
    pictures = Pictures(sides["input"])
    inputs, outputs = frames(source, sides["input"]), frames(result, sides["output"])
    number, first, segments, objects = 0, 0, [], 0
    networks = {model["role"]: model["sha256"] for model in header["models"]}
    for line in lines[1:-1]:
        if line["line"] == "segment":
            first = line["first"]
            segments.append(first)
            assert first == number
            continue
        assert line["line"] == "frame" and line["frame"] == number, f"frame {number}: found {line['line']}"
        taken, given = next(inputs), next(outputs)
        assert line["input"] == hashlib.sha256(taken).hexdigest(), f"input of frame {number}"
        assert line["output"]["sha256"] == hashlib.sha256(given).hexdigest(), f"output of frame {number}"
        assert line["output"]["means"] == means(given, sides["output"]), f"means of frame {number}"
        for field, role in (("general", "general model"), ("face", "face model")):
            assert field not in line or line[field]["sha256"] == networks[role]
        objects += len(line["objects"])
        pictures.check(line, first)
        number += 1
    assert next(inputs, None) is None and next(outputs, None) is None, "frames that are not on record"
    assert end["frames"] == number and end["lost"] == 0
    print(json.dumps({"frames": number, "segments": segments, "objects": objects, "models": networks, **pictures.counts}))


if __name__ == "__main__":
    main()
