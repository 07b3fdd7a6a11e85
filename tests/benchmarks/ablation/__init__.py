"""What each kind of input, the training and the index are worth to a run."""
