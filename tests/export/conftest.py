"""One tiny run, published once for all tests that only read it."""

from __future__ import annotations

import hashlib
import io
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.export.tiny_run import make_run
from twinshelf.export import publishing
from twinshelf.export.publishing import PublishRequest, publish
from twinshelf.export.reference import TorchReference
from twinshelf.export.repository import COMMITTED
from twinshelf.training.checkpoint import TrainedEncoder, load_encoder


def remembered(make: Callable[..., bytes]) -> Callable[..., bytes]:
    """Makes a graph once per weights: that equal weights give equal bytes is tested by itself."""
    known: dict[tuple[str, ...], bytes] = {}

    def graph(tower: nn.Module, *sizes: int) -> bytes:
        weights = io.BytesIO()
        torch.save(tower.state_dict(), weights)
        key = (hashlib.sha256(weights.getvalue()).hexdigest(), *map(str, sizes))
        if key not in known:
            known[key] = make(tower, *sizes)
        return known[key]

    return graph


@pytest.fixture(scope="session", autouse=True)
def _each_graph_is_exported_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("image_tower_graph", "text_tower_graph", "fusion_graph"):
            patch.setattr(publishing, name, remembered(getattr(publishing, name)))
        yield


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
