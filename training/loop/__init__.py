"""The training loop: module, trainer, optimizer, validation, last steps."""
