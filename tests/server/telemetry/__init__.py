"""Tests of server/telemetry/."""
