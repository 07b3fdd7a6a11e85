"""The client against the real service against the real Triton."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator

import pytest
from PIL import Image

from tests.end_to_end.offers import photos
from twinshelf.client.errors import (
    InvalidRequestError,
    PreconditionError,
    ServiceUnavailableError,
    TwinshelfError,
)
from twinshelf.client.records import MatchOptions, ModalityWeights, Offer, Product
from twinshelf.client.retries import RetryPolicy
from twinshelf.client.sync_client import Client
from twinshelf.server.triton.process import TritonServer

pytestmark = pytest.mark.triton

TITLES = ("red soap box", "green чай large", "молоко 500", "small bar", "box of 500 чай")
# Longer than the service's own deadline for Triton (5 s here), far shorter than a hang.
BOUNDED_S = 15


@pytest.fixture
def catalogue(client: Client) -> Iterator[list[Product]]:
    """Five products of photo and title, one of each alone."""
    products = [
        Product(product_id=f"p{i}", title=title, image=photo, price=float(i))
        for i, (title, photo) in enumerate(zip(TITLES, photos(), strict=True))
    ]
    products.append(Product(product_id="text-only", title="green soap 500 large"))
    answers = list(client.upsert(products))
    assert [answer.error for answer in answers] == [None] * len(products)
    yield products
    client.delete([product.product_id for product in products])


def test_a_product_matches_itself_by_photo_by_text_and_by_both(
    client: Client, catalogue: list[Product]
) -> None:
    for product in catalogue[:5]:
        offers = {
            "image": Offer(image=product.image),
            "text": Offer(title=product.title),
            "both": Offer(image=product.image, title=product.title),
        }
        for pattern, offer in offers.items():
            result = client.match(offer, MatchOptions(match_count=3))
            assert result.pattern == pattern
            assert all(0 <= match.probability <= 1 for match in result.matches)
            # The random text tower is moved by the prefix, which offers and products differ in.
            scores = {match.product.product_id: match.score for match in result.matches}
            assert product.product_id in scores, pattern
            if pattern == "image":
                assert next(iter(scores)) == product.product_id
                assert scores[product.product_id] == pytest.approx(1.0, abs=2e-3)  # fp16


def test_weights_move_the_score_between_the_modalities(
    client: Client, catalogue: list[Product]
) -> None:
    offer = Offer(image=catalogue[0].image, title=catalogue[1].title)
    by_image, by_text = (
        client.match(offer, MatchOptions(weights=weights, match_count=1)).matches[0]
        for weights in (ModalityWeights(image=1.0), ModalityWeights(text=1.0))
    )
    assert by_image.product.product_id == "p0"
    assert by_text.product.product_id == "p1"


def test_stored_products_come_back_and_go(client: Client, catalogue: list[Product]) -> None:
    stats = client.stats()
    assert (stats.product_count, stats.image_count, stats.text_count) == (6, 5, 6)
    assert client.get("p3").product.price == 3.0
    assert client.delete(["p3", "nobody"]).missing_product_ids == ("nobody",)
    found = client.match(Offer(title=TITLES[3]), MatchOptions(match_count=10)).matches
    assert "p3" not in [match.product.product_id for match in found]


def test_one_bad_row_never_fails_its_stream(client: Client) -> None:
    rows = [
        Product(product_id="good", title="red soap"),
        Product(product_id="broken", image=photos()[0][:100]),
        Product(product_id="empty"),
        Product(product_id="also-good", image=photos()[1]),
    ]
    answers = {answer.product_id: answer.error for answer in client.upsert(rows)}
    assert answers["good"] is None
    assert answers["also-good"] is None
    assert isinstance(answers["broken"], InvalidRequestError)
    assert isinstance(answers["empty"], InvalidRequestError)
    client.delete(["good", "also-good"])


# Empty once cleaned, and without a token that the encoder knows.
NO_TEXTS = ("<p>&nbsp;</p>", "\u200b", "🔥🔥", "日本 | 語")


def test_texts_that_say_nothing_are_never_the_same(client: Client) -> None:
    answers = client.upsert(Product(product_id=text, title=text) for text in NO_TEXTS)
    assert all(isinstance(answer.error, InvalidRequestError) for answer in answers)
    shown = [
        Product(product_id=f"shown {row}", title=text, image=photos()[row])
        for row, text in enumerate(NO_TEXTS)
    ]
    assert [answer.pattern for answer in client.upsert(shown)] == ["image"] * len(shown)
    for row, text in enumerate(NO_TEXTS):
        with pytest.raises(InvalidRequestError, match="words that the encoder knows"):
            client.match(Offer(title=text))
        with pytest.raises(InvalidRequestError, match="words that the encoder knows"):
            client.predict_category(Offer(title=text))
        # Beside a photo such a text counts as none: what it is matched by is the photo alone.
        with_text, alone = (
            client.match(Offer(title=title, image=shown[row].image)) for title in (text, "")
        )
        assert with_text == alone and with_text.pattern == "image"
    client.delete([product.product_id for product in shown])


def bomb() -> bytes:
    """Returns a small file that would decode to 50 megapixels."""
    file = io.BytesIO()
    Image.new("L", (10_000, 5_000)).save(file, "PNG")
    return file.getvalue()


BAD_REQUESTS = {
    "empty offer": (Offer(), MatchOptions(), "an image or a text"),
    "50 megapixels": (Offer(image=bomb()), MatchOptions(), "megapixels"),
    "a megabyte of text": (Offer(title="x" * 1_000_000), MatchOptions(), "bytes"),
    "not an image": (Offer(image=b"hello"), MatchOptions(), "not a JPEG PNG or WebP file"),
    "no matches wanted": (Offer(title="x"), MatchOptions(match_count=0), "1 to 1000"),
    "a million matches": (Offer(title="x"), MatchOptions(match_count=1_000_000), "1 to 1000"),
}


@pytest.mark.parametrize("name", BAD_REQUESTS)
def test_bad_requests_are_told_what_was_expected(name: str, client: Client) -> None:
    offer, options, expected = BAD_REQUESTS[name]
    with pytest.raises(InvalidRequestError) as refused:
        client.match(offer, options)
    assert expected in str(refused.value).replace(",", "")


@pytest.mark.parametrize(
    "options", [MatchOptions(encoder_version=9), MatchOptions(encoder_digest="sha256:" + "0" * 64)]
)
def test_another_encoder_than_expected_is_a_failed_precondition(
    options: MatchOptions, client: Client
) -> None:
    digest = client.stats().encoder.digest
    with pytest.raises(PreconditionError) as refused:
        client.match(Offer(title="x"), options)
    asked = str(options.encoder_version or options.encoder_digest)
    assert asked in str(refused.value)
    assert digest in str(refused.value) or "version 1" in str(refused.value)


def test_killing_triton_in_the_middle_is_unavailable_and_heals(
    service: str, catalogue: list[Product], triton: TritonServer
) -> None:
    offer = Offer(image=catalogue[0].image, title=catalogue[0].title)
    outcomes: list[tuple[float, TwinshelfError | None]] = []
    stop = threading.Event()

    def match_on() -> None:
        with Client(service, retry_policy=RetryPolicy(attempt_count=1)) as client:
            while not stop.is_set():
                started = time.monotonic()
                try:
                    client.match(offer, timeout_s=BOUNDED_S * 2)
                    error = None
                except TwinshelfError as raised:
                    error = raised
                outcomes.append((time.monotonic() - started, error))

    threads = [threading.Thread(target=match_on) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        _wait_until(lambda: len(outcomes) > 8)
        triton.kill()
        _wait_until(lambda: sum(error is not None for _, error in outcomes) > 8)
        triton.start()
        healthy_from = len(outcomes)
        _wait_until(lambda: any(error is None for _, error in outcomes[healthy_from:]))
    finally:
        stop.set()
        for thread in threads:
            thread.join(BOUNDED_S * 2)
    assert all(isinstance(e, ServiceUnavailableError) for _, e in outcomes if e is not None)
    assert max(seconds for seconds, _ in outcomes) < BOUNDED_S
    with Client(service) as client:
        assert client.match(offer).matches[0].product.product_id == "p0"


def _wait_until(condition: object) -> None:
    deadline = time.monotonic() + 90
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
