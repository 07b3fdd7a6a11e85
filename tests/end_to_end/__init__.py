"""Tests of the whole path: a run, its published version, Triton, the service, the client."""
