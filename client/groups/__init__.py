"""The groups of the same product: reading them, their history, and changing them by hand."""
