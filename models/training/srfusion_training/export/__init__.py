"""ONNX graphs: written node by node, checked against PyTorch, quantised to eight bits, recorded in models.toml."""
