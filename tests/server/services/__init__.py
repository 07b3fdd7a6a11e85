"""Tests of server/services/."""
