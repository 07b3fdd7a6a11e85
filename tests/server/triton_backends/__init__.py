"""Tests of the onnxruntime backend in Python."""
