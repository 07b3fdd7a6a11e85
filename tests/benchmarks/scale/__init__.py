"""What a catalogue costs as it grows."""
