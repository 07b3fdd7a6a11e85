"""Tests of server/services/embedding/."""
