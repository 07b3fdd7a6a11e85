"""Tests of loop: environment, tables of products, comparison."""
