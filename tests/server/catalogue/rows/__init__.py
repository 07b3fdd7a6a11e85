"""Tests of server/catalogue/rows/."""
