"""Tests of server/services/calls/."""
