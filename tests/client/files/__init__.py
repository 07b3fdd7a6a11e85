"""Tests of the reader of product files."""
