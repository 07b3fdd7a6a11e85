"""Tests of the forms of files."""
