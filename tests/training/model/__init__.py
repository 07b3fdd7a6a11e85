"""Tests of model: environment, tables of products, comparison."""
