"""A small single-shot face detector: mosaics, network, losses, training, export and evaluation.

The three commands are `python -m srfusion_training train-detector`, `export-detector` and `evaluate-detector`;
each lives in the module of its verb and offers `add_arguments(parser)` and `run(args)`.
"""
