"""Offers become vectors: admission, the encoders that serve, and the watch over them."""
