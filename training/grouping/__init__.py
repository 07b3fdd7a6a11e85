"""Grouping: the duplicate groups of a whole catalogue."""
