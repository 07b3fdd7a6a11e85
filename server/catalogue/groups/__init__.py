"""Stable groups of the same product, kept beside the writes."""
