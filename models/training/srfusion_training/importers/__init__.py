"""Public weights in other formats, turned into networks of :mod:`srfusion_training.nets`."""
