"""Tests of `twinshelf doctor`."""
