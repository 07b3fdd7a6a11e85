"""The encoders of a service: which one answers, and changing over to another."""
