"""Client: the Python client of the matching service, and the command line."""
