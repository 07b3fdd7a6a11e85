"""Evaluation: what a trained encoder is worth on held-out offers."""
