"""The whole path from an offer to its matches, beside what a user would write instead."""
