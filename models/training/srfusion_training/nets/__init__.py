"""Networks in PyTorch: what a generator, a discriminator and the face detector compute."""
