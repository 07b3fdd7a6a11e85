"""Training rows on their way to a batch: tables, pixels, augmentation, sampler, data module."""
