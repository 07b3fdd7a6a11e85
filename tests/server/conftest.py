"""A matching service on a fake encoder, a channel to it, and a fake Triton."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import pytest

from tests.server.calls import serving
from tests.server.fake_encoder import FakeEncoder
from tests.server.fake_triton import FakeTriton
from twinshelf.server.config import ServerConfig


@pytest.fixture
def encoder() -> FakeEncoder:
    """An encoder that the test may take away, change or hold up."""
    return FakeEncoder()


@pytest.fixture
async def triton() -> AsyncIterator[FakeTriton]:
    """A running KServe server that the test may stop, start again or let fail."""
    server = FakeTriton()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def hang_ups() -> Iterator[None]:
    """Lets a SIGHUP reach the test's children, where the tests themselves run under `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def config(tmp_path: Path) -> ServerConfig:
    """A configuration on a free port."""
    return ServerConfig(
        address="127.0.0.1:0",
        catalogue=tmp_path / "catalogue",
        metrics_address="",
        embedding_cache_count=0,  # what tests ask twice the encoder is to see twice
        canary_interval_s=60,  # what tests count and hold up are their own offers
        watch_interval_s=0.02,
        drain_timeout_s=5,
        wait_limit_s=60,  # where a machine stands still, no call is refused for it
        image_limit_bytes=64 * 1024,
    )


@pytest.fixture
async def channel(config: ServerConfig, encoder: FakeEncoder) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to a running service."""
    async with serving(config, encoder) as running:
        yield running
