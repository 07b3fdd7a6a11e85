"""A tiny encoder, published, served by the real Triton, behind the real matching service."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.end_to_end.labelled_products import make_labelled_products
from tests.export.tiny_run import make_run
from tests.export.trained_pairs import make_pair_run
from twinshelf.client.async_client import AsyncClient
from twinshelf.client.sync_client import Client
from twinshelf.export.pair_scorer_publishing import publish_pair_scorer
from twinshelf.export.publishing import PublishRequest, publish
from twinshelf.server.config import ServerConfig
from twinshelf.server.encoders.local_encoder import LocalEncoder
from twinshelf.server.serving import create_server
from twinshelf.server.triton.process import TritonServer
from twinshelf.server.triton.repository import served_models
from twinshelf.server.triton.triton_config import TritonConfig
from twinshelf.training.categories.category_config import CategoryOptions
from twinshelf.training.categories.category_run import predict_categories
from twinshelf.training.checkpoint import TrainedEncoder, load_encoder

ROOT = Path(__file__).parents[2]
START_TIMEOUT_S = 60
LISTENING = re.compile(r"listening on (\S+);")


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The runs of an encoder and of a pair scorer, and the repository with both as version 1.

    Votes for a category were calibrated with the table `labelled`, each product by the others.
    """

    run: Path
    pair_run: Path
    repository: Path
    labelled: Path
    encoder: TrainedEncoder


@pytest.fixture(scope="package")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    """The tiny runs, exported through their parity gates."""
    folder = tmp_path_factory.mktemp("published")
    run = make_run(folder)
    labelled = make_labelled_products(folder / "labelled")
    predict_categories(CategoryOptions(run=run, gallery=(labelled,), queries=labelled))
    repository = folder / "model_repository"
    committed = ROOT / "model_repository"
    publish(PublishRequest(run=run, repository=repository, committed=committed))
    make_pair_run(folder / "pairs", encoder_run=run)
    publish_pair_scorer(folder / "pairs", repository, version=1, committed=committed)
    return Published(
        run=run,
        pair_run=folder / "pairs",
        repository=repository,
        labelled=labelled,
        encoder=load_encoder(run),
    )


@pytest.fixture(scope="package")
def triton(published: Published) -> Iterator[TritonServer]:
    """Triton with version 1, ready."""
    config = TritonConfig(
        model_repository=published.repository,
        version=1,
        models=served_models(published.repository, 1),
    )
    with TritonServer(config) as server:
        yield server


@pytest.fixture(scope="package")
def local(published: Published) -> LocalEncoder:
    """The same version in this process."""
    return LocalEncoder(published.repository, 1, thread_count=1)


@pytest.fixture(scope="package")
def service(triton: TritonServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The matching service, a process of its own, in front of Triton; its address."""
    folder = tmp_path_factory.mktemp("service")
    log = folder / "server.log"
    command = [sys.executable, "-m", "server", "--triton", triton.grpc_address]
    command += ["--address", "127.0.0.1:0", "--catalogue", str(folder / "catalogue")]
    command += ["--metrics-address", ""]
    command += ["--encode-timeout-s", "5", "--watch-interval-s", "0.2"]
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)
    try:
        yield wait_for_address(process, log)
    finally:
        process.terminate()
        process.wait(30)
    assert process.returncode == 0, log.read_text()


def wait_for_address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Returns the address that a service names in its log."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        if found := LISTENING.search(log.read_text()):
            return found[1]
        time.sleep(0.05)
    raise AssertionError(f"the service did not start:\n{log.read_text()}")


@pytest.fixture
def client(service: str) -> Iterator[Client]:
    """A client of the service."""
    with Client(service, timeout_s=20) as connected:
        yield connected


@pytest.fixture(params=["triton", "local"])
async def either_client(
    request: pytest.FixtureRequest, published: Published, tmp_path: Path
) -> AsyncIterator[AsyncClient]:
    """A client of the service in front of Triton, and of one that runs the encoder itself."""
    if request.param == "triton":
        async with AsyncClient(request.getfixturevalue("service"), timeout_s=20) as connected:
            yield connected
        return
    encoder = LocalEncoder(published.repository, 1, thread_count=1)
    config = ServerConfig(address="127.0.0.1:0", catalogue=tmp_path, metrics_address="")
    server, port = await create_server(config, encoder)
    try:
        async with AsyncClient(f"127.0.0.1:{port}", timeout_s=20) as connected:
            yield connected
    finally:
        await server.stop()
        await encoder.close()
