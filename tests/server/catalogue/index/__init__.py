"""Tests of server/catalogue/index/."""
