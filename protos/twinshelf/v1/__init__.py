"""Protocol buffers of Twinshelf, version 1."""
