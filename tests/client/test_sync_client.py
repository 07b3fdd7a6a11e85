"""The sync client against a fake service: results, errors, retries, deadlines, streams."""

from __future__ import annotations

import socket
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from tests.client.conftest import QUICK_RETRIES
from tests.client.fake_service import REFUSED, UNAVAILABLE, FakeService, start_server
from twinshelf.client.category_records import CategoryOptions
from twinshelf.client.errors import (
    DeadlineError,
    FieldViolation,
    InvalidRequestError,
    ProductNotFoundError,
    ServiceUnavailableError,
    UnsupportedCallError,
)
from twinshelf.client.records import MatchOptions, ModalityWeights, Offer, Product
from twinshelf.client.retries import RetryPolicy
from twinshelf.client.sync_client import Client


def products(count: int) -> list[Product]:
    return [Product(product_id=f"p{number:03}", title=f"tea {number}") for number in range(count)]


def test_a_stored_product_comes_back_without_its_photo(client: Client) -> None:
    product = Product(
        product_id="tea",
        title="Green tea",
        description="<b>leaves</b>",
        category="Grocery/Tea",
        brand="Leaf",
        seller="shop",
        price=0.0,
        attributes={"weight": "100 g"},
        image=b"photo",
        image_uri="tea.jpg",
    )
    (answer,) = client.upsert([product])
    assert answer.error is None and answer.pattern == "both" and not answer.replaced
    assert answer.encoder is not None and answer.encoder.version == 3
    stored = client.get("tea")
    assert stored.encoder_digest.startswith("sha256:")
    shown = stored.product
    assert (shown.title, shown.price, shown.image) == ("Green tea", 0.0, b"")
    assert shown.attributes == {"weight": "100 g"}
    assert shown.update_time is not None and shown.update_time.year == 2023


def test_of_two_servers_one_that_stops_is_left_out() -> None:
    services = [FakeService(), FakeService()]
    (first, one), (second, other) = map(start_server, services)
    with Client(f"ipv4:{one},{other}", timeout_s=5, retry_policy=QUICK_RETRIES, seed=0) as client:
        while not all(service.calls for service in services):
            client.stats()
        first.stop(0).wait()
        before_count = services[1].calls.total()
        for _ in range(20):
            client.stats()
    second.stop(0).wait()
    assert services[1].calls.total() == before_count + 20


def test_a_match_carries_scores_and_leaves_out_what_was_not_compared(
    client: Client, service: FakeService
) -> None:
    list(client.upsert(products(3)))
    options = MatchOptions(
        match_count=2,
        weights=ModalityWeights(image=0.7, text=0.3),
        min_probability=0.25,
        match_prior=0.4,
        target_precision=0.9,
    )
    result = client.match(Offer(title="tea"), options)
    assert [match.product.product_id for match in result.matches] == ["p000", "p001"]
    assert result.matches[0].image_score is None
    assert result.matches[0].text_score == pytest.approx(0.9)
    assert result.pattern == "text" and result.encoder.version == 3
    assert service.last_match is not None
    assert service.last_match.weights.image == pytest.approx(0.7)
    assert service.last_match.min_probability == 0.25
    assert (service.last_match.match_prior, service.last_match.target_precision) == (0.4, 0.9)
    assert [match.is_match for match in result.matches] == [True, False]
    assert result.no_match_probability == 0.03


def test_unset_options_stay_unset_in_the_request(client: Client, service: FakeService) -> None:
    client.match(Offer(title="tea"))
    assert service.last_match is not None
    assert not service.last_match.HasField("weights")
    assert not service.last_match.HasField("match_prior")
    assert not service.last_match.HasField("match_count")


def test_the_score_of_a_pair_carries_its_reasons_and_what_is_unknown(
    client: Client, service: FakeService
) -> None:
    score = client.score_pair(Offer(title="tea", price=2.0), "p001", reason_count=2)
    assert (score.probability, score.is_match, score.text_cosine) == (0.93, True, 0.8)
    assert score.image_cosine is None and score.encoder is None
    assert [(each.feature, each.value) for each in score.reasons] == [
        ("title_word_jaccard", 0.5),
        ("price_log_ratio", None),
    ]
    assert score.scorer.threshold == 0.6
    assert service.last_pair is not None
    assert service.last_pair.left.offer.price == 2.0
    assert service.last_pair.right.product_id == "p001"
    assert client.score_pair("p001", "p002").reasons == ()


def test_a_predicted_category_carries_its_votes(client: Client, service: FakeService) -> None:
    options = CategoryOptions(
        neighbour_count=7, level_count=2, excluded_product_id="p", target_precision=0.75
    )
    found = client.predict_category(Offer(title="tea"), options)
    assert (found.category, found.margin, found.pattern) == ("Grocery/Tea", 0.5, "text")
    assert [(each.category, each.share) for each in found.categories] == [
        ("Grocery/Tea", 0.75),
        ("Mugs", 0.25),
    ]
    assert (found.votes[0].product_id, found.votes[0].score) == ("tea", 0.875)
    request = service.last_category
    assert request is not None and not request.HasField("weights")
    assert (request.neighbour_count, request.level_count) == (7, 2)
    assert (request.excluded_product_id, request.target_precision) == ("p", 0.75)
    assert found.probability is None
    assert client.predict_category(Offer(title="tea")).probability == 0.875
    assert service.last_category is not None
    assert not service.last_category.HasField("neighbour_count")


def test_a_thumbnail_is_the_bytes_of_a_picture(client: Client) -> None:
    list(client.upsert([Product(product_id="tea", image=b"photo"), *products(1)]))
    assert client.thumbnail("tea") == b"small photo"
    with pytest.raises(ProductNotFoundError, match="no thumbnail"):
        client.thumbnail("p000")


def test_embeddings_are_those_of_the_products_that_are_there(client: Client) -> None:
    list(client.upsert(products(2)))
    (found,) = client.embeddings(["p001", "absent"])
    assert (found.product_id, found.image) == ("p001", ())
    assert found.text == pytest.approx((0.6, 0.8))


def test_every_page_is_listed(client: Client, service: FakeService) -> None:
    list(client.upsert(products(7)))
    assert [each.product_id for each in client.list_all(page_size=3)] == [
        f"p{number:03}" for number in range(7)
    ]
    assert service.calls["ListProducts"] == 3


def test_delete_reports_unknown_ids(client: Client) -> None:
    list(client.upsert(products(2)))
    result = client.delete(["p000", "no"])
    assert (result.deleted_count, result.missing_product_ids) == (1, ("no",))
    assert client.stats().product_count == 1


def test_unavailable_is_repeated_until_it_answers(client: Client, service: FakeService) -> None:
    service.failures = [UNAVAILABLE, UNAVAILABLE]
    assert client.stats().change_sequence == 7
    assert service.calls["GetCatalogStats"] == 3


def test_unavailable_is_raised_with_its_reason_after_the_last_attempt(
    client: Client, service: FakeService
) -> None:
    service.failures = [UNAVAILABLE] * 9
    with pytest.raises(ServiceUnavailableError, match="Triton is away") as raised:
        client.match(Offer(title="tea"))
    assert service.calls["MatchProduct"] == 3
    assert raised.value.reason == "ENCODER_UNAVAILABLE"
    assert raised.value.request_id == "request-1"
    assert raised.value.facts == {"limit": "9"}


def test_a_refusal_is_not_repeated_and_names_the_field(
    client: Client, service: FakeService
) -> None:
    service.failures = [REFUSED]
    with pytest.raises(InvalidRequestError) as raised:
        client.match(Offer(image=b"x"))
    assert service.calls["MatchProduct"] == 1
    assert raised.value.field_violations == (
        FieldViolation(field="offer.image", description="the photo is not an image"),
    )


def test_an_unknown_product_is_not_found(client: Client) -> None:
    with pytest.raises(ProductNotFoundError, match="'no'"):
        client.get("no")


@pytest.mark.slow
def test_a_silent_service_meets_the_deadline(client: Client, service: FakeService) -> None:
    service.hangs = True
    # Long enough for the call to reach the service on a busy machine.
    with pytest.raises(DeadlineError):
        client.stats(timeout_s=2)
    assert service.calls["GetCatalogStats"] == 1


def test_repeats_end_with_the_deadline_and_say_what_failed(
    address: str, service: FakeService
) -> None:
    service.failures = [UNAVAILABLE] * 100
    slow = RetryPolicy(attempt_count=100, initial_backoff_s=60, max_backoff_s=60)
    with Client(address, retry_policy=slow) as client:
        with pytest.raises(ServiceUnavailableError, match="Triton is away"):
            client.stats(timeout_s=5)
    assert service.calls["GetCatalogStats"] == 1


def test_a_service_that_is_not_there_is_named_with_its_address() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))  # bound, not listening: nobody answers here
        address = f"127.0.0.1:{holder.getsockname()[1]}"
        with Client(address, retry_policy=QUICK_RETRIES) as client:
            with pytest.raises(ServiceUnavailableError, match=f"{address}.*make up"):
                client.stats()
            with pytest.raises(ServiceUnavailableError, match=address):
                list(client.upsert(products(3)))


def test_another_service_at_the_address_is_told_apart() -> None:
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with Client(f"127.0.0.1:{port}", timeout_s=5) as client:
            with pytest.raises(UnsupportedCallError, match="not a Twinshelf"):
                client.stats()
    finally:
        server.stop(0).wait()


def test_each_row_of_a_stream_is_answered_and_failures_stay_single(
    client: Client, service: FakeService
) -> None:
    service.row_failures = {"p007": [REFUSED]}
    answers = sorted(client.upsert(products(200)), key=lambda answer: answer.product_index)
    assert [answer.product_index for answer in answers] == list(range(200))
    failed = [answer for answer in answers if answer.error]
    assert [answer.product_id for answer in failed] == ["p007"]
    assert isinstance(failed[0].error, InvalidRequestError)
    assert service.calls["p007"] == 1 and len(service.products) == 199


def test_an_unavailable_row_is_sent_again_alone(client: Client, service: FakeService) -> None:
    service.row_failures = {"p001": [UNAVAILABLE], "p002": [UNAVAILABLE] * 9}
    answers = {answer.product_id: answer for answer in client.upsert(products(4))}
    assert answers["p001"].error is None
    assert isinstance(answers["p002"].error, ServiceUnavailableError)
    assert [service.calls[f"p00{n}"] for n in range(4)] == [1, 2, 3, 1]
    assert service.calls["UpsertProducts"] == 1


def test_a_broken_stream_goes_on_with_the_unanswered_rows(
    client: Client, service: FakeService
) -> None:
    service.break_after = [3, 0, 2]
    answers = list(client.upsert(products(10)))
    assert sorted(answer.product_index for answer in answers) == list(range(10))
    assert not any(answer.error for answer in answers)
    assert service.calls["UpsertProducts"] == 4
    assert max(service.calls[each.product_id] for each in products(10)) == 1


def test_a_stream_that_breaks_without_progress_is_given_up(
    client: Client, service: FakeService
) -> None:
    service.break_after = [0] * 9
    with pytest.raises(ServiceUnavailableError):
        list(client.upsert(products(2)))
    assert service.calls["UpsertProducts"] == 3


def test_a_silent_stream_meets_the_deadline(client: Client, service: FakeService) -> None:
    service.hangs = True
    with pytest.raises(DeadlineError, match="none of the rows"):
        list(client.upsert(products(2), timeout_s=0.1))


def test_rows_are_taken_no_faster_than_answered(client: Client) -> None:
    taken = 0

    def source() -> Iterator[Product]:
        nonlocal taken
        for product in products(500):
            taken += 1
            yield product

    answers = client.upsert(source())
    next(answers)
    assert taken <= 65
    assert isinstance(answers, Generator)
    answers.close()


def test_an_error_of_the_callers_own_iterator_reaches_the_caller(client: Client) -> None:
    def source() -> Iterator[Product]:
        yield products(1)[0]
        raise RuntimeError("disk gone")

    with pytest.raises(RuntimeError, match="disk gone"):
        list(client.upsert(source()))


def test_a_row_that_no_message_can_hold_fails_alone(client: Client) -> None:
    rows = [products(1)[0], Product(product_id="bad", title="\ud800"), products(2)[1]]
    answers = {answer.product_id: answer.error for answer in client.upsert(rows)}
    assert isinstance(answers.pop("bad"), InvalidRequestError)
    assert answers == {"p000": None, "p001": None}


def test_no_rows_make_no_answers(client: Client) -> None:
    assert list(client.upsert([])) == []


def test_a_stream_of_offers_is_answered_offer_by_offer(
    client: Client, service: FakeService
) -> None:
    list(client.upsert(products(2)))
    service.row_failures = {"bad": [REFUSED], "later": [UNAVAILABLE]}
    offers = [Offer(title="tea"), Offer(title="bad"), Offer(title="later")]
    answers = sorted(client.match_many(offers), key=lambda answer: answer.offer_index)
    assert [answer.offer_index for answer in answers] == [0, 1, 2]
    assert isinstance(answers[1].error, InvalidRequestError)
    assert answers[2].result is not None and len(answers[2].result.matches) == 2


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan")])
def test_a_timeout_that_is_not_above_zero_is_refused(timeout_s: float) -> None:
    with pytest.raises(ValueError, match="timeout_s"):
        Client(timeout_s=timeout_s)
