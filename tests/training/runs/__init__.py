"""Tests of runs: environment, tables of products, comparison."""
