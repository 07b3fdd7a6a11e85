"""Tests of pair features and the scorers over them."""
