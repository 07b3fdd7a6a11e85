"""What is written: embedded, updated in part, and embedded again."""
