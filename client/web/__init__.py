"""The web page of Twinshelf: search, compare, catalogue, groups, review and health."""
