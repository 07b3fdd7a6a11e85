"""The asyncio client against the same fake service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.client.conftest import QUICK_RETRIES
from tests.client.fake_service import REFUSED, UNAVAILABLE, FakeService
from tests.client.test_sync_client import products
from twinshelf.client.async_client import AsyncClient
from twinshelf.client.errors import DeadlineError, InvalidRequestError, ServiceUnavailableError
from twinshelf.client.records import Offer, Product


@pytest.fixture
async def client(address: str) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(address, timeout_s=5, retry_policy=QUICK_RETRIES) as client:
        yield client


async def test_both_clients_give_the_same_results(client: AsyncClient) -> None:
    answers = [answer async for answer in client.upsert(products(5))]
    assert len(answers) == 5 and not any(answer.error for answer in answers)
    from twinshelf.client.sync_client import Client

    with Client(client.address) as other:
        assert await client.match(Offer(title="tea")) == other.match(Offer(title="tea"))
        pair = (Offer(title="tea"), "p001")
        assert await client.score_pair(*pair, reason_count=9) == other.score_pair(
            *pair, reason_count=9
        )
        assert await client.predict_category(Offer(title="tea")) == other.predict_category(
            Offer(title="tea")
        )
        assert await client.get("p001") == other.get("p001")
        assert await client.stats() == other.stats()
        photo = Product(product_id="photo", image=b"photo")
        assert [answer.error async for answer in client.upsert([photo])] == [None]
        assert await client.thumbnail("photo") == other.thumbnail("photo")
        assert await client.embeddings(["photo"]) == other.embeddings(["photo"])
        assert await client.snapshot() == other.snapshot()
        assert [each async for each in client.list_all(page_size=2)] == list(other.list_all())
        assert (await client.delete(["p001", "no"])).missing_product_ids == ("no",)


async def test_unavailable_is_repeated(client: AsyncClient, service: FakeService) -> None:
    service.failures = [UNAVAILABLE, UNAVAILABLE]
    await client.stats()
    assert service.calls["GetCatalogStats"] == 3
    service.failures = [UNAVAILABLE] * 9
    with pytest.raises(ServiceUnavailableError, match="Triton is away"):
        await client.stats()
    assert service.calls["GetCatalogStats"] == 6


async def test_a_refusal_is_not_repeated(client: AsyncClient, service: FakeService) -> None:
    service.failures = [REFUSED]
    with pytest.raises(InvalidRequestError):
        await client.match(Offer(image=b"x"))
    assert service.calls["MatchProduct"] == 1


@pytest.mark.slow
async def test_a_silent_service_meets_the_deadline(
    client: AsyncClient, service: FakeService
) -> None:
    service.hangs = True
    with pytest.raises(DeadlineError):
        await client.stats(timeout_s=0.1)
    with pytest.raises(DeadlineError, match="none of the rows"):
        _ = [answer async for answer in client.upsert(products(2), timeout_s=0.1)]


async def products_one_by_one(count: int) -> AsyncIterator[Product]:
    for product in products(count):
        await asyncio.sleep(0)
        yield product


async def test_rows_come_from_an_async_source_and_are_repeated_alone(
    client: AsyncClient, service: FakeService
) -> None:
    service.row_failures = {"p001": [UNAVAILABLE], "p002": [REFUSED]}
    upserts = client.upsert(products_one_by_one(150))
    answers = {answer.product_id: answer.error async for answer in upserts}
    assert len(answers) == 150
    assert [each for each, error in answers.items() if error] == ["p002"]
    assert service.calls["UpsertProducts"] == 1
    assert {each for each in answers if service.calls[each] != 1} == {"p001"}
    assert service.calls["p001"] == 2


async def test_a_broken_stream_goes_on_with_the_unanswered_rows(
    client: AsyncClient, service: FakeService
) -> None:
    service.break_after = [50]
    answers = [answer async for answer in client.upsert(products_one_by_one(150))]
    # gRPC may drop answers that were under way when the stream broke: then their rows go again.
    assert sorted(answer.product_index for answer in answers) == list(range(150))
    assert not any(answer.error for answer in answers)
    assert service.calls["UpsertProducts"] == 2
    assert service.calls["p149"] == 1


async def test_a_stream_that_breaks_without_progress_is_given_up(
    client: AsyncClient, service: FakeService
) -> None:
    service.break_after = [0] * 9
    with pytest.raises(ServiceUnavailableError):
        _ = [answer async for answer in client.upsert(products(2))]
    assert service.calls["UpsertProducts"] == 3


async def test_a_service_that_is_not_there_is_named() -> None:
    async with AsyncClient("127.0.0.1:1", retry_policy=QUICK_RETRIES) as client:
        with pytest.raises(ServiceUnavailableError, match="127.0.0.1:1 .*make up"):
            _ = [answer async for answer in client.upsert(products(3))]


async def test_offers_are_answered_one_by_one(client: AsyncClient, service: FakeService) -> None:
    _ = [answer async for answer in client.upsert(products(2))]
    service.row_failures = {"bad": [REFUSED]}
    answers = [each async for each in client.match_many([Offer(title="bad"), Offer(title="tea")])]
    answers.sort(key=lambda answer: answer.offer_index)
    assert isinstance(answers[0].error, InvalidRequestError)
    assert answers[1].result is not None


async def test_cancelling_the_task_ends_a_running_call(
    client: AsyncClient, service: FakeService
) -> None:
    service.hangs = True
    task = asyncio.create_task(client.stats())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_one_identifier_in_place_of_a_list_is_refused(
    client: AsyncClient, service: FakeService
) -> None:
    for call in (client.delete, client.embeddings, lambda ids: client.groups.split("g1", ids)):
        with pytest.raises(InvalidRequestError, match="a list of identifiers, got the text 'x1'"):
            await call("x1")
    assert not service.calls


async def test_answers_and_repeats_do_not_wait_for_a_source_that_rests(
    client: AsyncClient, service: FakeService
) -> None:
    service.row_failures = {"p000": [UNAVAILABLE]}
    answered = asyncio.Event()

    async def one_after_the_other() -> AsyncIterator[Product]:
        """Sends a product once the one before it is stored."""
        for product in [*products(3), Product(product_id="\udc00"), *products(3)]:
            answered.clear()
            yield product
            await answered.wait()

    async with asyncio.timeout(10):
        async for _ in client.upsert(one_after_the_other()):
            answered.set()
    assert service.calls["p000"] == 3 and service.calls["UpsertProducts"] == 1


async def test_a_stream_that_is_left_leaves_its_source(client: AsyncClient) -> None:
    has_ended = asyncio.Event()

    async def resting() -> AsyncIterator[Product]:
        """Gives one product, and then waits for ever."""
        try:
            yield Product(product_id="a", title="tea")
            await asyncio.Event().wait()
        finally:
            has_ended.set()

    stream = client.upsert(resting())
    assert (await anext(stream)).product_id == "a"
    await stream.aclose()  # type: ignore[attr-defined] # an asynchronous generator
    async with asyncio.timeout(10):
        await has_ended.wait()
