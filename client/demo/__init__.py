"""The demonstration: the whole path, run as its user would type it."""
