"""A published version, a file of products with bad rows among them, and what embeds it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from tests.model_repository.tiny_repository import publish_tiny_version
from tests.server.bulk.bulk_files import BulkFiles, write_products
from twinshelf.server.bulk import product_batch
from twinshelf.server.encoders.local_encoder import LocalEncoder


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model repository with the versions 1 and 2."""
    folder = tmp_path_factory.mktemp("model_repository")
    publish_tiny_version(folder, version=1)
    publish_tiny_version(folder, version=2)
    return folder


@pytest.fixture(scope="session")
def encoder(repository: Path) -> LocalEncoder:
    """Version 1 in this process."""
    return LocalEncoder(repository, 1, thread_count=1)


@pytest.fixture
def bulk(tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> BulkFiles:
    """A file of products, written in parts of a few rows."""
    monkeypatch.setattr(product_batch, "PART_ROWS", 40)
    write_products(tmp_path / "products.csv")
    return BulkFiles(folder=tmp_path, repository=repository, console=Console(file=io.StringIO()))
