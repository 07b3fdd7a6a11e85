"""What cells hold: texts, prices, photos."""
