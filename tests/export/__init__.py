"""Tests of the export: graphs, gate, publishing."""
