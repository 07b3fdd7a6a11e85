"""Tests of what the catalogue on Milvus does without a server."""
