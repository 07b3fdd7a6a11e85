"""Product files: any table that a shop exports, read row by row into products."""
