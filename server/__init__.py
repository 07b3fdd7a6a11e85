"""Server: the gRPC matching service, its catalogue and index, and the launcher of Triton."""
