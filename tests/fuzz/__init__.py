"""Fuzzing: mutated photos, texts and requests, of which none may crash, hang or cost too much."""
