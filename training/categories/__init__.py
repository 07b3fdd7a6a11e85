"""Categories: predicted by a vote of the nearest products, or by a network on embeddings."""
