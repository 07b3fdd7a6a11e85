"""Preprocessing: what turns photos and texts into tensors, in training and in Triton alike."""
