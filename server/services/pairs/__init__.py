"""The scorer of pairs."""
