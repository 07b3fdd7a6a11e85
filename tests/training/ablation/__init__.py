"""Tests of the ablation table."""
