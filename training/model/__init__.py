"""The encoder: an image tower and a text tower, made from timm and transformers."""
