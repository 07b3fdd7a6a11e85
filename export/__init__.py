"""Export: towers to ONNX, the parity gate, and publishing into the model repository."""
