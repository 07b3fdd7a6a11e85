"""Tests of what Triton loads: configurations, thin models, ensembles."""
