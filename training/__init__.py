"""Training: catalogue readers, preprocessing, towers, losses, the loop, metrics and evaluation."""
