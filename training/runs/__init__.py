"""Runs: what surrounds a trained encoder in its folder, and runs side by side."""
