"""The vector index beside other libraries of nearest neighbours."""
