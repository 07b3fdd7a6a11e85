"""Triton as a process: which one, what it serves, and its launcher."""
