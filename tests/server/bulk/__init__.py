"""Tests of `server.bulk`."""
