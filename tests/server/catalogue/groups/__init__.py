"""Tests of the groups that the catalogue keeps."""
