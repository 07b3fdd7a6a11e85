"""Protocol buffers of Twinshelf and the code generated from them."""
