"""PredictCategory on a fake encoder: who votes, what is answered, and what is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc
import numpy as np
import pytest

from tests.server.calls import matching, serving, upsert, violated_field
from tests.server.fake_encoder import (
    CATEGORY_CURVE,
    FakeEncoder,
    digest_of,
    hashed_row,
    make_contract,
)
from twinshelf.server.config import ServerConfig
from twinshelf.v1.matching_service_pb2 import PredictCategoryRequest, PredictCategoryResponse
from twinshelf.v1.product_pb2 import MODALITY_PATTERN_TEXT, Offer, Product

CATEGORIES = {
    "green tea": "Grocery/Tea",
    "black tea": "Grocery/Tea",
    "beans": "Grocery/Coffee",
    "mug": "Kitchen/Mugs",
    "unsorted": "",
}


async def stock(channel: grpc.aio.Channel) -> None:
    await upsert(
        channel,
        [
            Product(product_id=title, title=title, image=title.encode(), category=category)
            for title, category in CATEGORIES.items()
        ],
    )


@pytest.fixture
async def stocked(channel: grpc.aio.Channel) -> grpc.aio.Channel:
    await stock(channel)
    return channel


@pytest.fixture
async def calibrated(config: ServerConfig) -> AsyncIterator[grpc.aio.Channel]:
    """A stocked service whose votes by photo and by both are calibrated."""
    curves = {"image": CATEGORY_CURVE, "both": CATEGORY_CURVE}
    async with serving(config, FakeEncoder(make_contract(category_curves=curves))) as channel:
        await stock(channel)
        yield channel


async def predict(
    channel: grpc.aio.Channel, offer: Offer, **options: object
) -> PredictCategoryResponse:
    request = PredictCategoryRequest(offer=offer, **options)  # type: ignore[arg-type]
    return await matching(channel).PredictCategory(request)


async def test_the_nearest_products_vote_and_are_the_evidence(stocked: grpc.aio.Channel) -> None:
    photo = b"some photo"
    answer = await predict(stocked, Offer(image=photo), neighbour_count=3)

    row = hashed_row(photo, 16)
    scores = {title: float(row @ hashed_row(title.encode(), 16)) for title in CATEGORIES}
    voters = sorted(filter(CATEGORIES.get, scores), key=lambda title: -scores[title])[:3]
    assert [vote.product_id for vote in answer.votes] == voters
    weights = np.exp(np.array([scores[title] for title in voters]) / 0.07)
    # Stored vectors are fp16.
    assert [vote.share for vote in answer.votes] == pytest.approx(weights / weights.sum(), abs=0.05)
    assert [vote.score for vote in answer.votes] == pytest.approx(
        [scores[title] for title in voters], abs=2e-3
    )
    assert answer.votes[0].title == answer.votes[0].product_id
    assert answer.category == answer.categories[0].category
    assert sum(each.share for each in answer.categories) == pytest.approx(1)
    shares = [each.share for each in answer.categories]
    assert shares == sorted(shares, reverse=True)
    assert answer.encoder.digest == digest_of("first")


async def test_titles_of_votes_are_short(channel: grpc.aio.Channel) -> None:
    await upsert(channel, [Product(product_id="long", title="tea " * 10_000, category="Tea")])
    (vote,) = (await predict(channel, Offer(image=b"photo", title="tea"))).votes
    assert len(vote.title) == 256


async def test_below_the_margin_there_is_no_answer_but_the_evidence(
    stocked: grpc.aio.Channel,
) -> None:
    offer = Offer(image=b"some photo")
    answer = await predict(stocked, offer)
    assert answer.category and 0 < answer.margin < 1
    strict = await predict(stocked, offer, min_margin=min(1.0, answer.margin + 1e-3))
    assert (strict.category, strict.margin) == ("", answer.margin)
    assert list(strict.categories) == list(answer.categories)
    assert (await predict(stocked, offer, min_margin=answer.margin)).category == answer.category


async def test_a_calibrated_vote_has_a_probability_and_abstains_below_a_precision(
    calibrated: grpc.aio.Channel,
) -> None:
    offer = Offer(image=b"some photo")
    answer = await predict(calibrated, offer)
    assert len(answer.votes) == 3  # as it was calibrated
    assert answer.probability == pytest.approx(0.2 + 0.7 * answer.margin)
    assert await predict(calibrated, offer, neighbour_count=3) == answer
    least = 0.5 + 0.4 * (answer.probability - 0.4) / 0.600001  # the target that it just reaches
    for target, category in ((least - 0.01, answer.category), (least + 0.01, ""), (0.95, "")):
        found = await predict(calibrated, offer, target_precision=target)
        assert (found.category, found.probability) == (category, answer.probability)
        assert list(found.categories) == list(answer.categories)
    both = await predict(calibrated, offer, target_precision=0.5, min_margin=1)
    assert both.category == ""


@pytest.mark.parametrize(
    ("offer", "options"),
    [
        (Offer(image=b"some photo"), {"neighbour_count": 2}),
        (Offer(image=b"some photo"), {"level_count": 1}),
        (Offer(image=b"some photo", title="mug"), {"weights": {"image": 1, "text": 1}}),
        (Offer(title="some words"), {}),  # by text nothing was calibrated
    ],
)
async def test_a_vote_that_was_not_calibrated_has_no_probability_and_reaches_no_precision(
    calibrated: grpc.aio.Channel, offer: Offer, options: dict[str, object]
) -> None:
    answer = await predict(calibrated, offer, **options)
    assert answer.category and not answer.HasField("probability")
    assert len(answer.votes) == options.get("neighbour_count", 4)
    strict = await predict(calibrated, offer, target_precision=0.5, **options)
    assert strict.category == "" and list(strict.categories) == list(answer.categories)


async def test_weights_that_are_the_usual_ones_keep_the_probability(
    calibrated: grpc.aio.Channel,
) -> None:
    usual = {"image": 0.3, "text": 0.7}  # those of the contract
    both = Offer(image=b"some photo", title="mug")
    for offer, weights in ((both, usual), (Offer(image=b"some photo"), {"image": 1, "text": 1})):
        answer = await predict(calibrated, offer, weights=weights)
        assert answer.HasField("probability")
        # Weights of a request are float32.
        usually = await predict(calibrated, offer)
        assert answer.probability == pytest.approx(usually.probability, abs=1e-5)


async def test_levels_of_a_path_vote_together(stocked: grpc.aio.Channel) -> None:
    answer = await predict(stocked, Offer(image=b"mug"), level_count=1)
    assert {each.category for each in answer.categories} == {"Grocery", "Kitchen"}
    assert answer.category == "Kitchen"


async def test_the_offer_itself_has_no_vote_where_it_is_excluded(stocked: grpc.aio.Channel) -> None:
    offer = Offer(image=b"mug")
    assert (await predict(stocked, offer)).votes[0].product_id == "mug"
    alone = await predict(stocked, offer, excluded_product_id="mug", neighbour_count=10)
    assert len(alone.votes) == 3 and "mug" not in {vote.product_id for vote in alone.votes}
    assert alone.category.startswith("Grocery/")


async def test_a_stored_product_is_asked_for_by_its_vector_and_has_no_vote(
    stocked: grpc.aio.Channel,
) -> None:
    offer = Offer(image=b"mug", title="mug")
    expected = await predict(stocked, offer, excluded_product_id="mug")
    stub = matching(stocked)
    answer = await stub.PredictCategory(PredictCategoryRequest(product_id="mug"))
    assert [vote.product_id for vote in answer.votes] == [
        vote.product_id for vote in expected.votes
    ]
    assert (answer.category, answer.pattern) == (expected.category, expected.pattern)
    other = PredictCategoryRequest(product_id="mug", excluded_product_id="beans")
    assert {vote.product_id for vote in (await stub.PredictCategory(other)).votes} == {
        "green tea",
        "black tea",
    }
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.PredictCategory(PredictCategoryRequest(product_id="nobody"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("excluded", ["", "copy 0"])
async def test_products_without_a_category_take_no_places(
    stocked: grpc.aio.Channel, excluded: str
) -> None:
    offer = Offer(image=b"mug")
    expected = await predict(stocked, offer, excluded_product_id=excluded)
    copies = [Product(product_id=f"copy {n}", title="mug", image=b"mug") for n in range(30)]
    await upsert(stocked, copies)
    answer = await predict(stocked, offer, excluded_product_id=excluded)
    assert answer == expected and answer.category == "Kitchen/Mugs"


async def test_nobody_votes_where_no_category_is_known(channel: grpc.aio.Channel) -> None:
    await upsert(channel, [Product(product_id="p", title="mug")])
    answer = await predict(channel, Offer(title="mug"))
    assert (answer.category, answer.margin, len(answer.votes)) == ("", 0, 0)
    assert not answer.HasField("probability")
    assert answer.pattern == MODALITY_PATTERN_TEXT


@pytest.mark.parametrize(
    ("offer", "options", "field"),
    [
        (Offer(), {}, "offer"),
        (Offer(title="x", price=-1), {}, "offer.price"),
        (Offer(title="x"), {"product_id": "p"}, "product_id"),
        (None, {"product_id": "p" * 257}, "product_id"),
        (Offer(title="x"), {"neighbour_count": 0}, "neighbour_count"),
        (Offer(title="x"), {"neighbour_count": 1001}, "neighbour_count"),
        (Offer(title="x"), {"min_margin": 1.5}, "min_margin"),
        (Offer(title="x"), {"min_margin": float("nan")}, "min_margin"),
        (Offer(title="x"), {"target_precision": 1.0}, "target_precision"),
        (Offer(title="x"), {"target_precision": -0.1}, "target_precision"),
        (Offer(title="x"), {"target_precision": float("nan")}, "target_precision"),
        (Offer(title="x"), {"level_count": -1}, "level_count"),
        (Offer(title="x"), {"weights": {"image": 1}}, "weights"),
        (Offer(title="x"), {"excluded_product_id": "x" * 257}, "excluded_product_id"),
    ],
)
async def test_unusable_requests_are_refused_by_the_field(
    channel: grpc.aio.Channel, offer: Offer, options: dict[str, object], field: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await predict(channel, offer, **options)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert violated_field(caught.value) == field
