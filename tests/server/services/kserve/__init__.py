"""Tests of server/services/kserve/."""
