"""Milvus as a cluster beside two matching servers and Triton, killed in part under load."""
