"""Tests of the client and the command line of encoders."""
