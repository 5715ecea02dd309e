"""``python -m srfusion_training COMMAND``: one module per command, imported only when its command is asked for."""

from __future__ import annotations

import argparse
import importlib
import sys

#: command -> (module of ``commands``, one line for the help). A module has ``add_arguments(parser)`` and
#: ``run(args)``; ``run`` returns an exit status or None.
COMMANDS = {
    "prepare": ("prepare", "decode the training pictures into a cache, once"),
    "prepare-camera": ("prepare_camera", "write degraded low-resolution versions of the cached pictures, once"),
    "prepare-teacher": ("prepare_teacher", "let a larger network enlarge pieces of the cached pictures, once"),
    "train-generator": ("train_generator", "train a x4 generator, resumable"),
    "train-resident": ("train_resident", "train x4 generators of luma on a GPU, all patches drawn there, resumable"),
    "train-recogniser": ("train_recogniser", "train the reader of single lines that judges text generators, resumable"),
    "export-generator": ("export_generator", "write a trained generator as ONNX and record it in models.toml"),
    "quantise-generator": ("quantise_generator", "write an eight-bit copy of a generator, if it costs no more than 0.1 dB"),
    "interpolate-generators": ("interpolate_generators", "a generator whose weights lie between those of two"),
    "export-shape": ("export_shape", "write SRCNN, VDSR, EDSR, SRGAN, ESRGAN or SPAN with random weights"),
    "convert": ("convert", "turn a public ESRGAN, Real-ESRGAN or SRVGGNetCompact checkpoint into ONNX"),
    "evaluate-generator": ("evaluate_generator", "PSNR and SSIM on the development pictures"),
    "evaluate-natural": ("evaluate_natural", "NIQE, PSNR and the likeness of faces, of generators side by side"),
    "evaluate-text": ("evaluate_text", "PSNR, SSIM and characters read on rendered text"),
    "time-generators": ("time_generators", "how long generators take, beside one another"),
    "results": ("results", "the source's Table 1 on our data, and the mask's curve: docs/results.md"),
    "train-detector": ("train_detector", "train the face detector, resumable"),
    "export-detector": ("export_detector", "write the trained detector as ONNX and record it in models.toml"),
    "evaluate-detector": ("evaluate_detector", "recall and false boxes on the development pictures"),
    "evaluate-text-detector": ("evaluate_text_detector", "words found by the height of their letters, on drawn pictures"),
}


def main(argv: list[str] | None = None) -> int:
    """Run one command; exit status 0, 1 (failed) or 2 (usage)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    listing = "\n".join(f"  {name:20} {line}" for name, (_, line) in COMMANDS.items())
    top = argparse.ArgumentParser(
        prog="python -m srfusion_training",
        description="Train, export and measure the networks of srfusion.",
        epilog=f"commands:\n{listing}\n\n'COMMAND --help' lists a command's options.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="%(prog)s COMMAND [OPTION ...]",
    )
    top.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="what to do, see below")
    command = top.parse_args(arguments[:1]).command
    module_name, line = COMMANDS[command]
    module = importlib.import_module(f".commands.{module_name}", __package__)
    parser = argparse.ArgumentParser(
        prog=f"{top.prog} {command}", description=line, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    module.add_arguments(parser)
    try:
        return int(module.run(parser.parse_args(arguments[1:])) or 0)
    except (FileNotFoundError, ValueError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{parser.prog}: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
