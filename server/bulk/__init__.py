"""Whole files embedded on many cores or machines, and brought into a catalogue."""
