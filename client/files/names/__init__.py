"""What a column's name says of it."""
