"""The commands of `twinshelf`, their options and their output."""
