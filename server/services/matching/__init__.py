"""What answers an offer: matches and categories."""
