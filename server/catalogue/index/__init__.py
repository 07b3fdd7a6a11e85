"""The search index over stored vectors, and its snapshots."""
