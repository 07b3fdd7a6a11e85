"""Tests of server/triton/."""
