"""What answers gRPC: requests in, matches and errors out."""
