"""Tests of category prediction."""
