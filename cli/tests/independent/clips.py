"""The numbers of `srfusion report`, computed again from the files with numpy: nothing of srfusion is used but the faces that its report
lists. Prints JSON.

    python clips.py REPORT.json IN OUT HR [EMBEDDING.onnx]
"""

import json
import subprocess
import sys

import numpy as np

BLOCK, REACH, STEPS, SCALE, BORDER = 8, 16, 4, 4, 4


class Clip:
    """Frames of a video: their planes as coded, and RGB by the matrix and range that the file names."""

    def __init__(self, path):
        probe = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_streams", "-of", "json", path]
        stream = json.loads(subprocess.run(probe, check=True, capture_output=True).stdout)["streams"][0]
        self.width, self.height = stream["width"], stream["height"]
        kind = stream["pix_fmt"]
        if kind not in ("yuv420p", "yuvj420p"):
            raise SystemExit(f"{path}: expected yuv420p, found {kind}")
        decode = ["ffmpeg", "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", kind, "-"]
        data = np.frombuffer(subprocess.run(decode, check=True, capture_output=True).stdout, np.uint8)
        area, chroma = self.width * self.height, ((self.width + 1) // 2, (self.height + 1) // 2)
        small = chroma[0] * chroma[1]
        frames = data.reshape(-1, area + 2 * small)
        self.luma = [frame[:area].reshape(self.height, self.width) for frame in frames]
        self.chroma = [[frame[area + i * small :][:small].reshape(chroma[::-1]) for i in range(2)] for frame in frames]
        self.full = kind == "yuvj420p" or stream.get("color_range") == "pc"
        # BT.601 for small pictures and BT.709 for large ones where a file does not say.
        space = stream.get("color_space", "unknown")
        self.kr, self.kb = (0.2126, 0.0722) if space == "bt709" or (space == "unknown" and self.height > 576) else (0.299, 0.114)

    def rgb(self, index):
        """uint8[height, width, 3]."""
        luma = self.luma[index].astype(float)
        cb, cr = (enlarge(plane.astype(float), self.width, self.height) - 128.0 for plane in self.chroma[index])
        if not self.full:
            luma, cb, cr = (luma - 16.0) * 255 / 219, cb * 255 / 224, cr * 255 / 224
        kg = 1.0 - self.kr - self.kb
        red, blue = luma + 2 * (1 - self.kr) * cr, luma + 2 * (1 - self.kb) * cb
        green = (luma - self.kr * red - self.kb * blue) / kg
        return np.clip(np.rint(np.stack([red, green, blue], -1)), 0, 255).astype(np.uint8)


def enlarge(plane, width, height):
    """Chroma of 4:2:0, sited at the left, enlarged bilinearly."""

    def axis(values, length, offset):
        place = np.clip(np.arange(length) / 2 + offset, 0, values.shape[0] - 1)
        low = place.astype(int)
        high = np.minimum(low + 1, values.shape[0] - 1)
        part = (place - low).reshape(-1, *[1] * (values.ndim - 1))
        return values[low] * (1 - part) + values[high] * part

    return axis(axis(plane, height, -0.25).T, width, 0.0).T


# --- E*warp ---------------------------------------------------------------------------------------------------------------


def block_sums(values):
    rows = np.add.reduceat(values, np.arange(0, values.shape[0], BLOCK), axis=0)
    return np.add.reduceat(rows, np.arange(0, values.shape[1], BLOCK), axis=1)


def quarter(plane, y, x):
    """Bilinear samples at places in quarters of a pixel, rounded half up."""
    top, left, v, u = y // 4, x // 4, y % 4, x % 4
    bottom, right = np.minimum(top + 1, plane.shape[0] - 1), np.minimum(left + 1, plane.shape[1] - 1)
    above = plane[top, left] * (4 - u) + plane[top, right] * u
    below = plane[bottom, left] * (4 - u) + plane[bottom, right] * u
    return (above * (4 - v) + below * v + 8) // 16


def motion(first, second):
    """int[height, width, 2], (y, x) in quarters of a pixel for every pixel."""
    height, width = first.shape
    first, second = first.astype(int), second.astype(int)
    area = block_sums(np.ones_like(first))
    rows, columns = area.shape
    y0, x0 = np.arange(rows) * BLOCK, np.arange(columns) * BLOCK
    y1, x1 = np.minimum(y0 + BLOCK, height), np.minimum(x0 + BLOCK, width)
    best = np.zeros((rows, columns, 2), int)
    cost = block_sums(np.abs(first - second))
    padded = np.pad(second, REACH)
    for dy in range(-REACH, REACH + 1):
        inside_y = (y0 + dy >= 0) & (y1 + dy <= height)
        for dx in range(-REACH, REACH + 1):
            if dy == 0 and dx == 0:
                continue
            inside = inside_y[:, None] & ((x0 + dx >= 0) & (x1 + dx <= width))[None]
            there = padded[REACH + dy : REACH + dy + height, REACH + dx : REACH + dx + width]
            found = block_sums(np.abs(first - there)) + area
            better = inside & (found < cost)
            cost = np.where(better, found, cost)
            best[better] = (dy * STEPS, dx * STEPS)
    for row, column in zip(*np.nonzero(block_sums(np.abs(first - second)) > area)):
        ys, xs = np.mgrid[y0[row] : y1[row], x0[column] : x1[column]]
        for step in (2, 1):
            middle = best[row, column].copy()
            for sy in (-step, 0, step):
                for sx in (-step, 0, step):
                    y, x = middle[0] + sy, middle[1] + sx
                    py, px = ys * STEPS + y, xs * STEPS + x
                    outside = py.min() < 0 or px.min() < 0 or py.max() > (height - 1) * STEPS or px.max() > (width - 1) * STEPS
                    if (sy == 0 and sx == 0) or outside:
                        continue
                    found = np.abs(first[ys, xs] - quarter(second, py, px)).sum() + (0 if y == 0 and x == 0 else area[row, column])
                    if found < cost[row, column]:
                        cost[row, column], best[row, column] = found, (y, x)
    return best.repeat(BLOCK, 0).repeat(BLOCK, 1)[:height, :width]


def hidden(there, back):
    height, width = there.shape[:2]
    ys, xs = np.mgrid[:height, :width]
    y = np.clip(np.floor((ys * STEPS + there[..., 0]) / STEPS + 0.5).astype(int), 0, height - 1)
    x = np.clip(np.floor((xs * STEPS + there[..., 1]) / STEPS + 0.5).astype(int), 0, width - 1)
    home = back[y, x]
    square = lambda vector: (vector.astype(float) ** 2).sum(-1) / STEPS**2
    return square(there + home) > 0.01 * (square(there) + square(home)) + 0.5


def warping_error(low, low_next, high, high_next):
    there = motion(low, low_next)
    seen = ~hidden(there, motion(low_next, low))
    large = there.repeat(SCALE, 0).repeat(SCALE, 1)
    mask = seen.repeat(SCALE, 0).repeat(SCALE, 1)
    ys, xs = np.nonzero(mask)
    moved = high_next[ys + large[ys, xs, 0], xs + large[ys, xs, 1]].astype(float)
    return 1000 * np.mean((high[ys, xs] / 255.0 - moved / 255.0) ** 2)


# --- SSIM and PSNR --------------------------------------------------------------------------------------------------------


def ssim(first, second):
    offsets = np.arange(11) - 5
    window = np.exp(-(offsets**2) / (2 * 1.5**2))
    window /= window.sum()

    def blur(values):
        values = np.apply_along_axis(np.convolve, 0, values, window, "valid")
        return np.apply_along_axis(np.convolve, 1, values, window, "valid")

    first, second = first.astype(float), second.astype(float)
    m1, m2 = blur(first), blur(second)
    v1, v2, v12 = blur(first**2) - m1**2, blur(second**2) - m2**2, blur(first * second) - m1 * m2
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return np.mean((2 * m1 * m2 + c1) * (2 * v12 + c2) / ((m1**2 + m2**2 + c1) * (v1 + v2 + c2)))


def inner(plane):
    return plane[BORDER:-BORDER, BORDER:-BORDER]


# --- SSIMULACRA 2: the package of that name, where it is installed ---------------------------------------------------------


def perceptual(picture, truth):
    try:
        import ssimulacra2.ssimulacra2 as package
        from scipy import ndimage
    except ImportError:
        return None
    import tempfile
    from pathlib import Path

    from PIL import Image

    def blur_image(image, sigma=1.5):
        return ndimage.gaussian_filter(image, sigma=sigma, truncate=5 / sigma, mode="constant", axes=(0, 1))

    # The package mirrors pictures at two of their sides; the definition (libjxl's) takes all that lies outside for zero.
    package.blur_image = blur_image
    with tempfile.TemporaryDirectory() as folder:
        names = [str(Path(folder) / name) for name in ("truth.png", "picture.png")]
        for name, values in zip(names, (truth, picture)):
            Image.fromarray(values).save(name)
        return float(package.compute_ssimulacra2(*names))


# --- Embeddings -----------------------------------------------------------------------------------------------------------

TEMPLATE = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]])


def aligned(picture, face, scale):
    """float32[1, 3, 112, 112], ImageNet-normalised."""
    if face["points"] is not None:
        x, y = TEMPLATE.T
        one, zero = np.ones(5), np.zeros(5)
        system = np.concatenate([np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)])
        points = np.array(face["points"]) * scale
        a, b, c, d = np.linalg.lstsq(system, points.T.ravel(), rcond=None)[0]
    else:
        x0, y0, x1, y1 = np.array(face["bbox"]) * scale
        side = max(x1 - x0, y1 - y0)
        a, b, c, d = side / 112, 0.0, (x0 + x1 - side) / 2, (y0 + y1 - side) / 2
    count = int(np.ceil(np.hypot(a, b)))
    at = (np.arange(112 * count) + 0.5) / count
    v, u = np.meshgrid(at, at, indexing="ij")
    height, width = picture.shape[:2]
    x = np.clip(a * u - b * v + c - 0.5, 0, width - 1)
    y = np.clip(b * u + a * v + d - 0.5, 0, height - 1)
    left, top = x.astype(int), y.astype(int)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    p, q = (x - left)[..., None], (y - top)[..., None]
    values = picture.astype(float)
    sampled = (values[top, left] * (1 - p) + values[top, right] * p) * (1 - q) + (values[bottom, left] * (1 - p) + values[bottom, right] * p) * q
    face = sampled.reshape(112, count, 112, count, 3).mean((1, 3)) / 255
    face = (face - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    return face.transpose(2, 0, 1)[None].astype(np.float32)


def embedding_distances(frames, clip, scale, network):
    """Distances of each track's embeddings in neighbouring frames."""
    import onnxruntime

    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    before, distances = {}, []
    for frame in frames:
        now = {}
        for face in frame["faces"]:
            if face["held"]:
                continue
            vector = session.run(None, {name: aligned(clip.rgb(frame["index"]), face, scale)})[0].ravel().astype(float)
            now[face["id"]] = vector = vector / np.linalg.norm(vector)
            if face["id"] in before:
                distances.append(1 - before[face["id"]] @ vector)
        before = now
    return float(np.mean(distances)) if distances else None


def main():
    report = json.load(open(sys.argv[1], encoding="utf-8"))
    low, high, truth = (Clip(path) for path in sys.argv[2:5])
    frames = report["frames"]
    assert len(frames) == len(low.luma) == len(high.luma) == len(truth.luma), "the clips have other numbers of frames than the report"
    pairs = [i for i in range(1, len(frames)) if not frames[i]["cut"]]
    sampled = [frame["index"] for frame in frames if frame["ssim"] is not None]
    squares = [np.mean((inner(a).astype(float) - inner(b)) ** 2) for a, b in zip(high.luma, truth.luma)]
    scores = [perceptual(high.rgb(i), truth.rgb(i)) for i in sampled]
    result = {
        "warping_error": float(np.mean([warping_error(low.luma[i - 1], low.luma[i], high.luma[i - 1], high.luma[i]) for i in pairs])),
        "psnr": float(10 * np.log10(255**2 / np.mean(squares))),
        "ssim": float(np.mean([ssim(inner(high.luma[i]), inner(truth.luma[i])) for i in sampled])),
        "ssimulacra2": None if None in scores else float(np.mean(scores)),
    }
    if len(sys.argv) > 5:
        result["embedding_distance"] = embedding_distances(frames, high, SCALE, sys.argv[5])
        result["input_embedding_distance"] = embedding_distances(frames, low, 1, sys.argv[5])
    print(json.dumps(result))


if __name__ == "__main__":
    main()
