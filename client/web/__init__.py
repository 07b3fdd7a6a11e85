"""The web page of Twinshelf: search, catalogue, review and health, on a running service."""
