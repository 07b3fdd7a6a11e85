"""Tests of server/services/matching/."""
