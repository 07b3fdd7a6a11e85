"""Tests of what columns are called."""
