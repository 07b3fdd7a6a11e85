"""Tests of retrieval: environment, tables of products, comparison."""
