"""Embeddings searched exactly: metrics, fusion weight and calibration of what is found."""
