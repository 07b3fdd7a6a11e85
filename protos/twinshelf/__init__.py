"""Protocol buffers of Twinshelf."""
