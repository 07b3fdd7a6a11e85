"""Benchmarks, and tests of what they are made of."""
