"""Faults that a catalogue must survive: killed writers, power cuts, flipped bytes, turnover."""
