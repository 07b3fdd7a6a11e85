"""Watching the changes of a catalogue: in order, from a change on, over breaks of the stream."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.client.conftest import QUICK_RETRIES
from tests.client.fake_service import UNAVAILABLE, FakeService, make_status
from twinshelf.client.async_client import AsyncClient
from twinshelf.client.changes import ProductChange
from twinshelf.client.cli import main
from twinshelf.client.errors import InvalidRequestError, ServiceUnavailableError
from twinshelf.client.sync_client import Client
from twinshelf.v1 import catalog_service_pb2 as pb
from twinshelf.v1.product_pb2 import Product


@pytest.fixture(autouse=True)
def _changes(service: FakeService) -> None:
    service.changes = [
        pb.ProductChange(
            product_id="tea",
            kind=pb.CHANGE_KIND_UPSERTED,
            product=Product(product_id="tea", title="Tea"),
        ),
        *(pb.ProductChange(product_id=f"p{i}", kind=pb.CHANGE_KIND_DELETED) for i in "23"),
    ]


def watched(changes: Iterator[ProductChange]) -> list[ProductChange]:
    """Reads changes until the fake refuses to go on."""
    found = []
    with pytest.raises(InvalidRequestError):
        for change in changes:
            found.append(change)
    return found


def test_changes_come_in_order_with_the_products_if_asked_for(client: Client) -> None:
    found = watched(client.watch(0, includes_products=True))
    assert [(each.change_sequence, each.product_id, each.kind) for each in found] == [
        (1, "tea", "upserted"),
        (2, "p2", "deleted"),
        (3, "p3", "deleted"),
    ]
    assert found[0].product is not None and found[0].product.title == "Tea"
    assert watched(client.watch(0))[0].product is None


def test_a_watch_that_breaks_goes_on_where_it_was(client: Client, service: FakeService) -> None:
    slow = make_status(4, "the caller read none of its answers", reason="SLOW_MESSAGE")
    service.stream_failures = [slow, UNAVAILABLE, UNAVAILABLE]
    service.break_after = [1, 1]
    assert [each.change_sequence for each in watched(client.watch(0))] == [1, 2, 3]
    service.stream_failures = [UNAVAILABLE] * 3
    with pytest.raises(ServiceUnavailableError):
        next(client.watch(0))


def test_a_watch_that_has_lasted_has_not_failed_though_nothing_changed(
    client: Client, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twinshelf.client.changes.LASTED_S", 0.0)
    service.stream_failures = [UNAVAILABLE] * 5
    assert [each.change_sequence for each in watched(client.watch(0))] == [1, 2, 3]
    with Client("127.0.0.1:1", retry_policy=QUICK_RETRIES) as nowhere:
        with pytest.raises(ServiceUnavailableError):
            next(nowhere.watch(0))


def test_a_watch_from_now_on_begins_after_the_last_change(
    client: Client, service: FakeService
) -> None:
    service.changes *= 3  # the fake's last change is 7
    assert [each.change_sequence for each in watched(client.watch())] == [8, 9]


async def test_both_clients_watch_alike(client: Client, service: FakeService) -> None:
    service.break_after = [1]
    found = []
    async with AsyncClient(client.address, retry_policy=QUICK_RETRIES) as other:
        with pytest.raises(InvalidRequestError):
            async for change in other.watch(1, includes_products=True):
                found.append(change)
    assert found == watched(client.watch(1, includes_products=True))


def test_the_command_prints_a_line_of_json_for_each_change(
    address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["watch", "--from", "0", "--products", "--address", address]) == 1
    tea, *others = map(json.loads, capsys.readouterr().out.splitlines())
    assert tea["product"]["title"] == "Tea"
    assert others == [
        {"change_sequence": 2, "kind": "deleted", "product_id": "p2"},
        {"change_sequence": 3, "kind": "deleted", "product_id": "p3"},
    ]
