"""Tests of training.preprocessing."""
