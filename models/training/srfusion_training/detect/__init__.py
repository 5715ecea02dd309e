"""The face detector: mosaics to train it on, training, export, running it, measuring it."""
