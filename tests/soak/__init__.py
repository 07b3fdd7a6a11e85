"""Loads and faults that a deployment must stand: bounded in count and time, on loopback only."""
