"""Pairs: features of two records, the scorers trained on them, and their evaluation."""
