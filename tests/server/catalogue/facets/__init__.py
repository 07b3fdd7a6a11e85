"""Tests of server/catalogue/facets/."""
