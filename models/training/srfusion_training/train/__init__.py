"""Training of generators: optimizers, checkpoints, the loop, and its curve."""
