"""The Milvus that the tests of this folder may kill."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.milvus.local_server import LocalServer


@pytest.fixture(scope="module")
def local_milvus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A running server."""
    server = LocalServer(tmp_path_factory.mktemp("milvus"))
    server.start()
    yield server
    server.kill()
