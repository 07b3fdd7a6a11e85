"""`twinshelf doctor`: checks a whole deployment, one file for each part that it looks at."""
