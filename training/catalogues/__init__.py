"""Readers: each maps one data set to products and offers."""
