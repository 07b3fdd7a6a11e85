"""One tiny run, published once for all tests that only read it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from export.__main__ import COMMITTED
from export.publishing import PublishRequest, publish
from export.reference import TorchReference
from tests.export.tiny_run import make_run
from training.checkpoint import TrainedEncoder, load_encoder


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def encoder(run: Path) -> TrainedEncoder:
    return load_encoder(run)


@pytest.fixture(scope="session")
def reference(encoder: TrainedEncoder) -> TorchReference:
    return TorchReference(encoder)


@pytest.fixture(scope="session")
def published(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with version 1; not to be changed."""
    repository = tmp_path_factory.mktemp("repository") / "models"
    publish(PublishRequest(run=run, repository=repository, committed=COMMITTED))
    return repository


@pytest.fixture
def repository(published: Path, tmp_path: Path) -> Path:
    """A copy of the repository, to be changed."""
    return shutil.copytree(published, tmp_path / "models")
