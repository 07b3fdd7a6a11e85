"""The catalogue of many machines: products and vectors in Milvus, shared by matching servers."""
