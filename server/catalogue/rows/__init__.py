"""The rows of products, vectors and groups in SQLite."""
