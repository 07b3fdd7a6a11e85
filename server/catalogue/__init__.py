"""The catalogue: products in SQLite, the index that finds candidates, and their ranking."""
