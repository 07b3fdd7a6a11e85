"""Offers become vectors: admission, the encoders, and the watch over them."""
