"""Tests of training.catalogues."""
