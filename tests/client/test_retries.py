"""A busy service is asked again when it says when, and that is soon enough."""

from __future__ import annotations

import queue
import random
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from unittest.mock import AsyncMock, Mock

import grpc
import pytest

from tests.client.conftest import QUICK_RETRIES
from tests.client.fake_service import (
    CUT_OFF,
    UNAVAILABLE,
    FakeService,
    busy,
    make_status,
    start_server,
    wait_until,
)
from tests.client.test_sync_client import products
from twinshelf.client.async_client import AsyncClient
from twinshelf.client.encoders.async_encoders import AsyncEncoders
from twinshelf.client.encoders.sync_encoders import Encoders
from twinshelf.client.errors import (
    CallCancelledError,
    ServiceBusyError,
    ServiceUnavailableError,
)
from twinshelf.client.groups.async_groups import AsyncGroups
from twinshelf.client.groups.sync_groups import Groups
from twinshelf.client.records import Offer
from twinshelf.client.retries import RetryPolicy
from twinshelf.client.sync_client import Client
from twinshelf.v1 import catalog_service_pb2_grpc

EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED


def test_the_wait_is_never_shorter_than_the_service_asks() -> None:
    error = ServiceBusyError("busy", code=EXHAUSTED, retry_after_s=2.0)
    waits = [RetryPolicy().wait_s(error, 1, random.Random(seed)) for seed in range(100)]
    assert all(wait is not None and 2.0 <= wait <= 3.0 for wait in waits)
    assert len(set(waits)) > 50  # those refused together do not come back together


def test_a_short_wait_grows_with_the_failures() -> None:
    error = ServiceBusyError("busy", code=EXHAUSTED, retry_after_s=0.001)
    policy = RetryPolicy(attempt_count=9)
    for failure_count in (1, 2, 3):
        wait_s = policy.wait_s(error, failure_count, random.Random(0))
        assert wait_s is not None and wait_s >= 0.1 * 2 ** (failure_count - 1)


def test_what_will_not_help_is_not_repeated() -> None:
    policy, randomness = RetryPolicy(attempt_count=3), random.Random(0)
    without_time = ServiceBusyError("busy", code=EXHAUSTED)
    assert policy.wait_s(without_time, 1, randomness) is None
    away = ServiceUnavailableError("away", code=grpc.StatusCode.UNAVAILABLE)
    assert policy.wait_s(away, 2, randomness) is not None
    assert policy.wait_s(away, 3, randomness) is None


@pytest.mark.slow
def test_a_busy_call_is_repeated_after_the_time_that_was_named(
    client: Client, service: FakeService
) -> None:
    service.failures = [busy(0.2)]
    begun_s = time.monotonic()
    assert client.stats().change_sequence == 7
    assert time.monotonic() - begun_s >= 0.2
    assert service.calls["GetCatalogStats"] == 2


@pytest.mark.parametrize("retry_after_s", [60.0, None])
def test_a_busy_call_is_not_repeated_when_the_time_is_too_long_or_unknown(
    client: Client, service: FakeService, retry_after_s: float | None
) -> None:
    service.failures = [busy(retry_after_s)]
    with pytest.raises(ServiceBusyError, match="too busy") as raised:
        client.match(Offer(title="tea"))
    assert raised.value.retry_after_s == retry_after_s
    assert service.calls["MatchProduct"] == 1


def test_a_busy_row_and_a_busy_stream_are_repeated(client: Client, service: FakeService) -> None:
    changed = make_status(10, "others changed it", reason="PRODUCT_CHANGED")
    service.stream_failures = [busy(0.01)]
    service.row_failures = {"p001": [busy(0.01)], "p002": [busy(60)], "p003": [busy(None)]}
    service.row_failures["p004"] = [changed]
    answers = {each.product_id: each.error for each in client.upsert(products(5))}
    assert {each for each, error in answers.items() if error} == {"p002", "p003"}
    assert isinstance(answers["p002"], ServiceBusyError)
    assert answers["p002"].retry_after_s == 60
    assert [service.calls[f"p00{n}"] for n in range(5)] == [1, 2, 1, 1, 2]
    assert service.calls["UpsertProducts"] == 2


async def test_the_asyncio_client_repeats_busy_calls_and_rows(
    address: str, service: FakeService
) -> None:
    service.failures = [busy(0.01)]
    service.row_failures = {"p001": [busy(0.01)]}
    async with AsyncClient(address, timeout_s=5, retry_policy=QUICK_RETRIES) as client:
        await client.stats()
        answers = [each async for each in client.upsert(products(3))]
        assert not any(each.error for each in answers) and service.calls["p001"] == 2
    assert service.calls["GetCatalogStats"] == 2


async def test_a_delete_is_repeated_only_when_the_service_says_that_it_did_nothing(
    client: Client, service: FakeService
) -> None:
    async with AsyncClient(client.address, retry_policy=QUICK_RETRIES) as other:
        service.failures = [UNAVAILABLE, busy(0.01)]
        assert client.delete(["no"]).missing_product_ids == ("no",)
        service.failures = [UNAVAILABLE, busy(0.01)]
        assert (await other.delete(["no"])).missing_product_ids == ("no",)
        assert service.calls["DeleteProducts"] == 6
        # Milvus may do what it has not answered.
        service.failures = [make_status(14, "Milvus is away", reason="CATALOGUE_UNAVAILABLE")] * 2
        for _ in range(2):
            with pytest.raises(ServiceUnavailableError):
                client.delete(["p000"])
            with pytest.raises(ServiceUnavailableError):
                await other.delete(["p000"])
            service.loses_answers = True
    assert service.calls["DeleteProducts"] == 10


async def test_what_a_server_that_stops_has_cut_off_is_repeated_unless_it_is_a_delete(
    client: Client, service: FakeService
) -> None:
    async with AsyncClient(client.address, timeout_s=5, retry_policy=QUICK_RETRIES) as other:
        service.failures, service.stream_failures = [CUT_OFF], [CUT_OFF]
        client.stats()
        assert not any(each.error for each in client.upsert(products(2)))
        service.failures, service.stream_failures = [CUT_OFF], [CUT_OFF]
        await other.stats()
        assert not any([each.error async for each in other.upsert(products(2))])
        service.failures = [CUT_OFF] * 2
        with pytest.raises(ServiceUnavailableError, match="has cut the call off"):
            client.delete(["p000"])
        with pytest.raises(ServiceUnavailableError, match="has cut the call off"):
            await other.delete(["p000"])
    assert service.calls["DeleteProducts"] == 2


def test_a_call_that_the_caller_ends_by_closing_the_client_is_not_repeated(
    client: Client, service: FakeService
) -> None:
    service.hangs = True
    with ThreadPoolExecutor() as threads:
        asked = threads.submit(client.stats)
        wait_until(lambda: service.calls["GetCatalogStats"] == 1)
        client.close()
        with pytest.raises(CallCancelledError):
            asked.result()


@pytest.mark.parametrize(
    "ask", [lambda client: client.delete(["no"]), lambda client: list(client.upsert(products(2)))]
)
def test_a_service_with_too_many_open_calls_is_asked_again(
    service: FakeService, ask: Callable[[Client], Any]
) -> None:
    server, address = start_server(service, call_count=1)
    rows: queue.SimpleQueue[Any] = queue.SimpleQueue()
    policy = RetryPolicy(attempt_count=50, initial_backoff_s=0.02, max_backoff_s=0.02)
    with grpc.insecure_channel(address) as channel, Client(address, retry_policy=policy) as client:
        stub = catalog_service_pb2_grpc.CatalogServiceStub(channel)
        holding = stub.UpsertProducts(iter(rows.get, None))
        wait_until(lambda: service.calls["UpsertProducts"])
        end = threading.Timer(0.1, rows.put, [None])
        end.start()
        ask(client)
        assert not end.is_alive() and not list(holding)
    server.stop(0).wait()


CHANGES: list[Callable[[Any, Any], Any]] = [
    lambda groups, _: groups.merge("a", "b"),
    lambda groups, _: groups.split("a", ["p"]),
    lambda groups, _: groups.undo(1),
    lambda _, encoders: encoders.switch(2),
    lambda _, encoders: encoders.drop(1),
]


@pytest.mark.parametrize("change", CHANGES)
async def test_changes_of_groups_and_encoders_are_not_safe_to_repeat(
    change: Callable[[Any, Any], Any],
) -> None:
    lost = ServiceUnavailableError("lost", code=grpc.StatusCode.UNAVAILABLE)
    call, async_call = Mock(side_effect=lost), AsyncMock(side_effect=lost)
    with pytest.raises(ServiceUnavailableError):
        change(Groups(Mock(), call), Encoders(Mock(), Mock(call=call)))
    with pytest.raises(ServiceUnavailableError):
        await change(AsyncGroups(Mock(), async_call), AsyncEncoders(Mock(), async_call, Mock(), ()))
    for each in (call, async_call):
        assert each.call_args.kwargs == {"is_safe_to_repeat": False}


# A test of its own: another stream that is still open would take the failure that is meant here.
async def test_the_asyncio_client_hands_on_a_stream_that_is_busy_for_long(
    address: str, service: FakeService
) -> None:
    # Many: gRPC loses why a stream ended that ends while a request is written.
    service.stream_failures = [busy(60)] * 20
    policy = replace(QUICK_RETRIES, attempt_count=20)
    async with AsyncClient(address, timeout_s=5, retry_policy=policy) as client:
        with pytest.raises(ServiceBusyError):
            _ = [each async for each in client.match_many([Offer(title="tea")])]


@pytest.mark.slow
def test_a_delete_waits_for_a_service_that_is_not_there_yet(service: FakeService) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    started: list[grpc.Server] = []
    start = threading.Timer(0.2, lambda: started.append(start_server(service, address)[0]))
    start.start()
    policy = RetryPolicy(attempt_count=50, initial_backoff_s=0.05, max_backoff_s=0.05)
    with Client(address, timeout_s=10, retry_policy=policy) as client:
        assert client.delete(["no"]).missing_product_ids == ("no",)
    start.join()
    started[0].stop(0).wait()
