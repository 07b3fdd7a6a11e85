"""What the client's tests share: a fake service in the process and clients that repeat at once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.client.fake_service import FakeService, start_server
from twinshelf.client.retries import RetryPolicy
from twinshelf.client.sync_client import Client

QUICK_RETRIES = RetryPolicy(attempt_count=3, initial_backoff_s=0.001, max_backoff_s=0.002)


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def address(service: FakeService) -> Iterator[str]:
    server, address = start_server(service)
    yield address
    service.released.set()
    server.stop(0).wait()


@pytest.fixture
def client(address: str) -> Iterator[Client]:
    with Client(address, timeout_s=5, retry_policy=QUICK_RETRIES, seed=0) as client:
        yield client
