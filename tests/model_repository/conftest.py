"""One real Triton with a tiny published version for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tritonclient import grpc as triton

from tests.model_repository.tiny_repository import TinyVersion, publish_tiny_version
from twinshelf.server.triton.process import TritonServer
from twinshelf.server.triton.triton_config import TritonConfig


@pytest.fixture(scope="package")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyVersion:
    """A repository with versions 1 and 2, of which Triton serves 1."""
    repository = tmp_path_factory.mktemp("model_repository")
    first = publish_tiny_version(repository, version=1)
    publish_tiny_version(repository, version=2)
    return first


@pytest.fixture(scope="package")
def server(tiny: TinyVersion) -> Iterator[TritonServer]:
    """Triton, ready, with version 1 of the three ensembles."""
    settings = TritonConfig(model_repository=tiny.repository, version=tiny.version)
    with TritonServer(settings) as running:
        yield running


@pytest.fixture(scope="package")
def client(server: TritonServer) -> Iterator[triton.InferenceServerClient]:
    """A client of it."""
    with triton.InferenceServerClient(server.grpc_address) as connected:
        yield connected
