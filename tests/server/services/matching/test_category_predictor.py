"""PredictCategory on a fake encoder: who votes, what is answered, and what is refused."""

from __future__ import annotations

import grpc
import numpy as np
import pytest

from tests.server.calls import matching, upsert, violated_field
from tests.server.fake_encoder import digest_of, hashed_row
from twinshelf.v1.matching_service_pb2 import PredictCategoryRequest, PredictCategoryResponse
from twinshelf.v1.product_pb2 import MODALITY_PATTERN_TEXT, Offer, Product

CATEGORIES = {
    "green tea": "Grocery/Tea",
    "black tea": "Grocery/Tea",
    "beans": "Grocery/Coffee",
    "mug": "Kitchen/Mugs",
    "unsorted": "",
}


@pytest.fixture
async def stocked(channel: grpc.aio.Channel) -> grpc.aio.Channel:
    await upsert(
        channel,
        [
            Product(product_id=title, title=title, image=title.encode(), category=category)
            for title, category in CATEGORIES.items()
        ],
    )
    return channel


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
    nearest = sorted(scores, key=lambda title: -scores[title])[:3]
    voters = [title for title in nearest if CATEGORIES[title]]
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


async def test_nobody_votes_where_no_category_is_known(channel: grpc.aio.Channel) -> None:
    await upsert(channel, [Product(product_id="p", title="mug")])
    answer = await predict(channel, Offer(title="mug"))
    assert (answer.category, answer.margin, len(answer.votes)) == ("", 0, 0)
    assert answer.pattern == MODALITY_PATTERN_TEXT


@pytest.mark.parametrize(
    ("offer", "options", "field"),
    [
        (Offer(), {}, "offer"),
        (Offer(title="x", price=-1), {}, "offer.price"),
        (Offer(title="x"), {"neighbour_count": 0}, "neighbour_count"),
        (Offer(title="x"), {"neighbour_count": 1001}, "neighbour_count"),
        (Offer(title="x"), {"min_margin": 1.5}, "min_margin"),
        (Offer(title="x"), {"min_margin": float("nan")}, "min_margin"),
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
