"""Tests of the catalogue on Milvus: `make test-milvus` starts the server of the wheel for them."""
