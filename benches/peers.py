#!/usr/bin/env python3
"""Times the same public weights on the same clip: the element (tolerant reuse, no faces) against ONNX Runtime's, ncnn's and
OpenVINO's Python packages over whole frames.

    python3 -m venv PEERS && PEERS/bin/pip install ncnn pnnx openvino onnxruntime
    PEERS/bin/python benches/peers.py --data DATA --srfusion target/release/srfusion [--json FILE]

The peers get frames as 32-bit floats and their output stays so: neither conversion is counted, in their favour. Their frames
all cost the same, so they are given only the first --peer-frames. The element gets 8-bit RGB, gives 8-bit RGB, and its figure
is that of its pipeline. Everything takes turns; medians over the rounds are printed. Nothing is written but the converted
network, to a temporary folder.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

MODEL = "dev/models/realesr-animevideov3-x4.onnx"
CLIP = "dev/video/static-room-one-person.mp4"


def decode(clip: Path, count: int, folder: Path) -> list[np.ndarray]:
    """The first frames of a clip as f32[1, 3, h, w], 0..1."""
    raw = folder / "frames.rgb"
    text = subprocess.run(
        ["gst-launch-1.0", "-v", "filesrc", f"location={clip}", "!", "decodebin", "!", "videoconvert", "!",
         "video/x-raw,format=AYUV64", "!", "videoconvert", "!", "video/x-raw,format=RGB", "!",
         "identity", f"eos-after={count + 1}", "!", "filesink", "name=out", f"location={raw}"],
        check=True, capture_output=True, text=True).stdout
    caps = [line for line in text.splitlines() if "out.GstPad:sink: caps" in line][-1]
    field = lambda name: int(caps.split(f"{name}=(int)")[1].split(",")[0])  # noqa: E731
    width, height = field("width"), field("height")
    stride = (3 * width + 3) // 4 * 4
    data = np.frombuffer(raw.read_bytes(), np.uint8).reshape(-1, height, stride)[:count, :, : 3 * width]
    planes = data.reshape(-1, height, width, 3).transpose(0, 3, 1, 2).astype(np.float32) / 255.0
    return [np.ascontiguousarray(frame)[None] for frame in planes]


def onnx_runtime(model: Path, threads: int):
    """The package as it comes, its threads spinning."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return f"onnxruntime {onnxruntime.__version__}", lambda frame: session.run(None, {name: frame})[0]


def open_vino(model: Path, threads: int):
    """Compiled for the frames' shape, for latency, in the precision that it chooses itself."""
    import openvino

    core = openvino.Core()
    network = core.read_model(model)

    def compiled(frame):
        network.reshape(list(frame.shape))
        return core.compile_model(network, "CPU", {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"})

    state = {}

    def run(frame):
        if "request" not in state:
            state["request"] = compiled(frame).create_infer_request()
        return next(iter(state["request"].infer([frame]).values()))

    return f"openvino {openvino.__version__.split('-')[0]}", run


def tencent_ncnn(model: Path, threads: int, folder: Path, size: tuple[int, int]):
    """Converted by pnnx, with ncnn's own options."""
    import ncnn

    copy = folder / "network.onnx"
    copy.write_bytes(model.read_bytes())
    pnnx = Path(sys.executable).with_name("pnnx")
    subprocess.run([pnnx, copy.name, f"inputshape=[1,3,{size[0]},{size[1]}]"], cwd=folder, check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    network = ncnn.Net()
    network.opt.num_threads = threads
    if network.load_param(str(folder / "network.ncnn.param")) or network.load_model(str(folder / "network.ncnn.bin")):
        raise RuntimeError("ncnn does not load what pnnx made of the network")

    def run(frame):
        extractor = network.create_extractor()
        extractor.input("in0", ncnn.Mat(frame[0]))
        return np.array(extractor.extract("out0")[1])[None]

    return f"ncnn {ncnn.__version__}", run


def ours(args: argparse.Namespace, rows: str) -> dict:
    """One round of ``srfusion bench``."""
    command = [args.srfusion, "bench", args.data / CLIP, "--frames", args.frames, "--rounds", 1, "--rows", rows,
               "--general-model", args.data / MODEL, "--face-model", "none", "--detector-model", "none",
               "--reuse", "tolerant", "--provider", "cpu", "--threads", args.threads, "--no-peak", "--json"]
    result = subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True)
    return json.loads(result.stdout)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with dev/")
    parser.add_argument("--srfusion", type=Path, required=True, help="the command, a release build")
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--peer-frames", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--json", type=Path, help="file for the result")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        frames = decode(args.data / CLIP, args.peer_frames, folder)
        size = frames[0].shape[2:]
        model = args.data / MODEL
        peers = [onnx_runtime(model, args.threads), open_vino(model, args.threads),
                 tencent_ncnn(model, args.threads, folder, size)]
        outputs = [run(frames[0]) for _, run in peers]
        rates: dict[str, list[float]] = {name: [] for name, _ in peers}
        rates["element, tolerant"] = []
        for _ in range(args.rounds):
            for name, run in peers:
                start = time.perf_counter()
                for frame in frames:
                    run(frame)
                rates[name].append(len(frames) / (time.perf_counter() - start))
            report = ours(args, "element")
            rates["element, tolerant"].append(report["rows"][0]["frames_per_second"])
    result = {
        "clip": CLIP, "size": f"{size[1]}x{size[0]}", "model": Path(MODEL).stem, "threads": args.threads,
        "frames": args.frames, "peer_frames": args.peer_frames, "machine": report["machine"],
        "rows": [{"name": name, "frames_per_second": statistics.median(values), "all": values}
                 for name, values in rates.items()],
        # That all of them computed the same thing.
        "largest_difference_of_255": [float(np.abs(output - outputs[0]).max() * 255) for output in outputs],
    }
    for row in result["rows"]:
        print(f"{row['name']:24} {row['frames_per_second']:.3f} frames per second")
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
