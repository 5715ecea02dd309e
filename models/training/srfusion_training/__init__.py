"""Training of the networks that ship with srfusion: two x4 generators and a face detector."""

__version__ = "0.1.0"
