"""The training loop: module, trainer, optimizer, averaging, validation, last steps."""
