"""Tests of server/services/pairs/."""
