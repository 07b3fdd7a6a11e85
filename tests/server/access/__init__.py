"""Tests of who may call what."""
