"""The forms of product files, each read row by row."""
