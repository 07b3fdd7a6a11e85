"""Tests of the generated catalogue."""
