"""Tests of losses: environment, tables of products, comparison."""
