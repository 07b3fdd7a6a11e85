"""Which rows of a stream are sent, held back, and sent again."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import grpc
import pytest

from tests.client.conftest import QUICK_RETRIES
from tests.client.fake_service import UNAVAILABLE, FakeService, make_status
from tests.client.test_listening import QUICK, refusal, rows_of
from tests.client.test_sync_client import products
from twinshelf.client.async_client import AsyncClient
from twinshelf.client.errors import DeadlineError, InvalidRequestError, ServiceUnavailableError
from twinshelf.client.records import Offer, Product, ProductUpdate
from twinshelf.client.streams import WINDOW
from twinshelf.client.sync_client import Client
from twinshelf.v1 import catalog_service_pb2

LATER_S = 100.0
OLD, NEW = (Product(product_id="tea", title=title) for title in ("old", "new"))
BROKEN = ServiceUnavailableError("away", code=grpc.StatusCode.UNAVAILABLE)
RESTED = DeadlineError(
    "nothing was sent", code=grpc.StatusCode.DEADLINE_EXCEEDED, reason="SLOW_MESSAGE"
)


def success(position: int) -> catalog_service_pb2.UpsertProductsResponse:
    return catalog_service_pb2.UpsertProductsResponse(request_index=position)


def test_a_row_waits_for_the_one_before_it_of_its_product_through_repeats_and_breaks() -> None:
    rows = rows_of(QUICK)
    sent = [rows.add(OLD)]
    assert rows.add(ProductUpdate(product=NEW, fields=("title",))) is None
    # A source that rests now would keep the row from being sent.
    assert not rows.may_take(answers_wait=False)
    assert not list(rows.due_requests(LATER_S))
    assert rows.answered(refusal(0), 0.0) is None
    sent += rows.due_requests(LATER_S)
    rows.wait_after_break_s(BROKEN, LATER_S)
    sent += rows.due_requests(LATER_S)
    assert [request.product.title for request in sent if request] == ["old"] * 3
    first = rows.answered(success(0), LATER_S)
    assert first is not None and first.product_index == 0 and not rows.is_empty
    (held,) = rows.due_requests(LATER_S)
    assert held.product.title == "new" and rows.may_take(answers_wait=False)
    last = rows.answered(success(1), LATER_S)
    assert last is not None and last.product_index == 1 and rows.is_empty


def test_rows_of_other_products_do_not_wait() -> None:
    rows = rows_of(QUICK)
    assert all(rows.add(product) is not None for product in products(WINDOW))


@pytest.mark.parametrize("failure_count", [1, 3])
def test_of_several_rows_of_one_product_the_last_stays(
    client: Client, service: FakeService, failure_count: int
) -> None:
    service.row_failures = {"tea": [UNAVAILABLE] * failure_count}
    answers = list(client.upsert([*products(3), OLD, OLD, NEW]))
    assert sorted(answer.product_index for answer in answers) == list(range(6))
    assert answers[-1].product_index == 5 and service.products["tea"].title == "new"


async def test_both_clients_keep_the_last_row(address: str, service: FakeService) -> None:
    service.row_failures = {"tea": [UNAVAILABLE]}
    async with AsyncClient(address, retry_policy=QUICK_RETRIES) as client:
        answers = [answer async for answer in client.upsert([OLD, NEW])]
    assert [answer.error for answer in answers] == [None, None]
    assert service.products["tea"].title == "new"


def test_a_stream_that_rested_is_opened_again_at_once_and_has_not_failed() -> None:
    rows = rows_of(QUICK)
    rows.add(OLD)
    for _ in range(10):
        assert rows.wait_after_break_s(RESTED, 0.0) == 0.0
        assert len(list(rows.due_requests(0.0))) == 1
    with pytest.raises(DeadlineError):
        rows.wait_after_break_s(DeadlineError("", code=RESTED.code), 0.0)


async def test_both_clients_go_on_after_a_rest(client: Client, service: FakeService) -> None:
    rested = make_status(4, "the stream sent nothing for 300 s", reason="SLOW_MESSAGE")
    service.stream_failures = [rested] * 4
    assert [answer.error for answer in client.upsert(products(2))] == [None, None]
    # One: grpc.aio may lose the reason of a stream that ends while a row is being written.
    service.stream_failures = [rested]
    async with AsyncClient(client.address, retry_policy=QUICK_RETRIES) as other:
        answers = [answer async for answer in other.upsert(products(2))]
    assert [answer.error for answer in answers] == [None, None]


# What the fake service reads: gRPC's own limit.
TOO_LARGE = bytes(4 * 1024 * 1024)


@pytest.mark.slow
async def test_rows_above_the_message_limit_are_answered_and_the_others_go_on(
    client: Client, service: FakeService
) -> None:
    large = [replace(product, image=TOO_LARGE) for product in products(2)]
    further = Product(product_id="many", further_images=(TOO_LARGE[:-9],) * 2)
    rows = [*products(30), *large, NEW, further, *products(30)]
    async with AsyncClient(client.address, timeout_s=5, retry_policy=QUICK_RETRIES) as other:
        for answers in (list(client.upsert(rows)), [each async for each in other.upsert(rows)]):
            assert sorted(answer.product_index for answer in answers) == list(range(64))
            failed = {each.product_index: each.error for each in answers if each.error}
            assert sorted(failed) == [30, 31, 33]
            assert all(isinstance(error, InvalidRequestError) for error in failed.values())
            (violation,) = failed[30].field_violations
            assert violation.field == "image" and not failed[33].field_violations
            assert "the photo of 4.0 MiB is too large: the service reads" in failed[30].message
            assert "the message of 8.0 MiB is too large" in failed[33].message
    assert service.products["tea"].title == "new"


def test_offers_and_single_calls_above_the_message_limit_are_invalid(client: Client) -> None:
    offers = [Offer(title="tea"), Offer(title="cup", image=TOO_LARGE)]
    answers = {answer.offer_index: answer for answer in client.match_many(offers)}
    assert answers[0].result is not None and isinstance(answers[1].error, InvalidRequestError)
    with pytest.raises(InvalidRequestError, match=r"of 4\.0 MiB is too large: .* at most 4\.0 MiB"):
        client.match(offers[1])


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"price": 10**400}, "price must be a number, got 1000"),
        ({"price": "9"}, "price must be a number, got '9'"),
        ({"title": "half a sign \ud83d"}, r"title must be a text .*, got 'half a sign \\ud83d'"),
        ({"title": math.nan}, "title must be a text that UTF-8 can hold, got nan"),
        ({"attributes": [1]}, "attributes must be texts by their names, got"),
        ({"attributes": {"size": 9}}, "attributes must be texts by their names, got"),
        ({"image": "tea.jpg"}, "image must be bytes, got 'tea.jpg'"),
        ({"image": None, "description": "x" * len(TOO_LARGE)}, "too large"),
    ],
    ids=["huge", "text", "half", "nan", "list", "number", "path", "large"],
)
def test_a_value_that_no_message_takes_costs_its_row_alone_and_is_named(
    client: Client, values: dict[str, Any], reason: str
) -> None:
    rows = [*products(2), Product(product_id="bad", **values), *products(2)]
    errors = {each.product_index: each.error for each in client.upsert(rows)}
    error = errors.pop(2)
    assert isinstance(error, InvalidRequestError) and re.search(reason, error.message)
    assert errors == dict.fromkeys((0, 1, 3, 4))
    with pytest.raises(InvalidRequestError, match=reason):
        client.match(Offer(**values))
