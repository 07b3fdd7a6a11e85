"""Losses of one training batch, each a function or module of embeddings and labels."""
