"""Tests of data: environment, tables of products, comparison."""
