"""What ``python -m srfusion_training COMMAND`` runs: one module for each command, imported only when it is asked for."""
