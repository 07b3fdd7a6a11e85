"""Tests of server/catalogue/."""
