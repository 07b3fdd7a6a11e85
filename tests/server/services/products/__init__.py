"""Tests of server/services/products/."""
