"""Twinshelf finds the same product. The folders beside are links to those at the top."""
