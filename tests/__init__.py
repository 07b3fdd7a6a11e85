"""Tests of the project; folders mirror its packages."""
