"""Tests of server/encoders/."""
