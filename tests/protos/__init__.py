"""Tests of the protos: what they say, and that the generated code says the same."""
