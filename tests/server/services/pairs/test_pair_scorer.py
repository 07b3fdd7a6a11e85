"""ScorePair, and pairs of a match, on a fake encoder and a fake pair scorer."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace

import grpc
import pytest

from tests.server.calls import (
    encoders,
    error_info,
    match,
    matching,
    serving,
    upsert,
    violated_field,
)
from tests.server.fake_encoder import (
    BROKEN_IMAGE,
    UNKNOWN_TEXT,
    FakeEncoder,
    digest_of,
    hashed_row,
    make_contract,
)
from tests.server.fake_pair_models import FEATURES, make_pair_contract
from twinshelf.server.config import ServerConfig
from twinshelf.server.errors import EncoderFailedError, EncoderUnavailableError
from twinshelf.v1.encoder_service_pb2 import ListEncodersRequest, ReindexRequest
from twinshelf.v1.matching_service_pb2 import PairSide, ScorePairRequest, ScorePairResponse
from twinshelf.v1.product_pb2 import Offer, Product

MUG = Product(product_id="mug", title="Blue mug", image=b"mug photo", price=4.0)
LAMP = Product(product_id="lamp", title="Red lamp", attributes={"b": "2", "a": "1"})
FP16 = 2e-3  # stored vectors: 11 bits a component


@pytest.fixture
def encoder() -> FakeEncoder:
    """An encoder with a pair scorer beside it."""
    encoder = FakeEncoder()
    encoder.pairs.current = make_pair_contract()
    return encoder


@pytest.fixture
async def stocked(channel: grpc.aio.Channel) -> grpc.aio.Channel:
    assert all(answer.HasField("upserted") for answer in await upsert(channel, [MUG, LAMP]))
    return channel


def side(record: Offer | str) -> PairSide:
    return PairSide(product_id=record) if isinstance(record, str) else PairSide(offer=record)


async def score(
    channel: grpc.aio.Channel, left: Offer | str, right: Offer | str, reason_count: int = 0
) -> ScorePairResponse:
    request = ScorePairRequest(left=side(left), right=side(right), reason_count=reason_count)
    return await matching(channel).ScorePair(request)


def cosine(left: bytes, right: bytes) -> float:
    return float(hashed_row(left, 16) @ hashed_row(right, 16))


def probability_of(*features: float) -> float:
    return 1 / (1 + math.exp(-sum(features)))


async def test_an_offer_is_compared_with_a_stored_product(
    stocked: grpc.aio.Channel, encoder: FakeEncoder
) -> None:
    encoder.texts.clear()
    answer = await score(stocked, Offer(title="Mug", image=b"photo", price=4.0), "mug")

    image, text = cosine(b"photo", b"mug photo"), cosine(b"Mug", b"Blue mug")
    fused = 0.3 * image + 0.7 * text
    assert answer.image_cosine == pytest.approx(image, abs=FP16)
    assert answer.text_cosine == pytest.approx(text, abs=FP16)
    assert answer.fused_cosine == pytest.approx(fused, abs=FP16)
    # Titles differ, prices agree.
    expected = probability_of(image, text, fused, 0, 1)
    assert answer.probability == pytest.approx(expected, abs=FP16)
    assert answer.is_match == (answer.probability >= 0.6)
    assert not answer.reasons
    assert answer.encoder.digest == digest_of("first")
    assert answer.pair_scorer.digest == make_pair_contract().digest
    assert answer.pair_scorer.threshold == 0.6
    # As a product is embedded, whichever side it stands on.
    assert encoder.texts == ["passage: Mug"]


async def test_what_a_side_lacks_is_unknown(stocked: grpc.aio.Channel) -> None:
    answer = await score(stocked, "mug", "lamp")
    assert not answer.HasField("image_cosine")
    assert answer.fused_cosine == pytest.approx(answer.text_cosine)
    alone = await score(stocked, Offer(image=b"photo"), "lamp")
    cosines = ("image_cosine", "text_cosine", "fused_cosine")
    assert not any(alone.HasField(name) for name in cosines)


async def test_reasons_are_the_strongest_and_as_many_as_asked(
    stocked: grpc.aio.Channel, encoder: FakeEncoder
) -> None:
    offer = Offer(title="Blue mug", image=b"photo")
    answer = await score(stocked, offer, "mug", reason_count=100)

    # Without a feature, the fake's sum lacks its value: that is what each did.
    image, text = cosine(b"photo", b"mug photo"), 1.0
    effects = {"image_cosine": image, "text_cosine": text, "titles_agree": 1.0, "prices_agree": 0}
    effects["fused_cosine"] = 0.3 * image + 0.7 * text
    assert {each.feature: each.log_odds for each in answer.reasons} == {
        name: pytest.approx(effect, abs=2 * FP16) for name, effect in effects.items()
    }
    strengths = [abs(each.log_odds) for each in answer.reasons]
    assert strengths == sorted(strengths, reverse=True)
    values = {each.feature: each.HasField("value") for each in answer.reasons}
    assert values == {name: name != "prices_agree" for name in FEATURES}
    # One pair described; itself and the five rows without a feature in messages of four.
    assert encoder.pairs.batch_sizes == [1, 4, 2]
    two = await score(stocked, offer, "mug", reason_count=2)
    assert list(two.reasons) == list(answer.reasons)[:2]


async def test_a_scorer_without_cosines_embeds_nothing(
    channel: grpc.aio.Channel, encoder: FakeEncoder
) -> None:
    encoder.pairs.current = make_pair_contract(has_encoder=False)
    answer = await score(channel, Offer(title="mug", price=1), Offer(title="mug", price=1))
    assert answer.probability == pytest.approx(probability_of(1, 1))
    assert encoder.texts == []
    assert not answer.HasField("encoder") and not answer.HasField("text_cosine")


async def test_cosines_of_the_encoder_are_kept_from_a_scorer_of_other_vectors(
    stocked: grpc.aio.Channel, encoder: FakeEncoder
) -> None:
    encoder.pairs.current = make_pair_contract(has_encoder=False)
    answer = await score(stocked, "mug", "mug")
    assert answer.probability == pytest.approx(probability_of(1, 1))
    assert not answer.HasField("text_cosine")
    matched = await match(stocked, title="Red lamp", price=1, pair_count=1)
    assert matched.matches[0].pair_probability == pytest.approx(probability_of(1))


async def test_a_text_that_the_encoder_does_not_know_is_read_all_the_same(
    channel: grpc.aio.Channel,
) -> None:
    answer = await score(channel, Offer(title=UNKNOWN_TEXT), Offer(title=UNKNOWN_TEXT))
    assert answer.probability == pytest.approx(probability_of(1))
    assert not answer.HasField("text_cosine")


async def test_without_a_scorer_the_answer_says_how_to_publish_one(
    channel: grpc.aio.Channel, encoder: FakeEncoder
) -> None:
    encoder.pairs.current = None
    for call in (
        score(channel, Offer(title="a"), Offer(title="b")),
        match(channel, title="a", pair_count=1),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert error_info(caught.value).reason == "PAIR_SCORER_MISSING"
        assert "export.pair_scorer --run runs/pairs --version 1" in (caught.value.details() or "")
    assert encoder.texts == []
    await match(channel, title="a")


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (ScorePairRequest(right=side("mug")), "left"),
        (ScorePairRequest(left=side(Offer(title="x"))), "right"),
        (ScorePairRequest(left=side(Offer(price=1)), right=side("mug")), "left.offer"),
        (ScorePairRequest(left=side("mug"), right=side("")), "right.product_id"),
        (
            ScorePairRequest(left=side(Offer(title="x", price=-1)), right=side("mug")),
            "left.offer.price",
        ),
        (
            ScorePairRequest(left=side("mug"), right=side(Offer(image=BROKEN_IMAGE))),
            "right.offer.image",
        ),
        (
            ScorePairRequest(left=side("mug"), right=side("lamp"), reason_count=-1),
            "reason_count",
        ),
        (
            ScorePairRequest(left=side("mug"), right=side("lamp"), encoder_version=-1),
            "encoder_version",
        ),
    ],
)
async def test_unusable_pairs_are_refused_by_the_field(
    stocked: grpc.aio.Channel, request_: ScorePairRequest, field: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await matching(stocked).ScorePair(request_)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert violated_field(caught.value) == field


@pytest.mark.slow
async def test_a_pair_is_scored_by_the_encoder_that_is_asked_for(
    config: ServerConfig, encoder: FakeEncoder
) -> None:
    beside = FakeEncoder(make_contract("second", 2))
    beside.pairs.current = make_pair_contract()
    async with serving(config, encoder, beside) as channel:
        await upsert(channel, [LAMP])
        offer = Offer(title=LAMP.title, attributes=LAMP.attributes)
        request = ScorePairRequest(left=side(offer), right=side("lamp"))
        first = await matching(channel).ScorePair(request)
        assert first.encoder.version == 1
        request.encoder_version = 2
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await matching(channel).ScorePair(request)
        assert error_info(caught.value).reason == "ENCODER_MISMATCH"
        state = (await encoders(channel).Reindex(ReindexRequest(encoder_version=2))).encoder
        while state.missing_product_count:
            await asyncio.sleep(0.02)
            states = (await encoders(channel).ListEncoders(ListEncodersRequest())).encoders
            (state,) = (each for each in states if each.encoder.version == 2)
        found = await matching(channel).ScorePair(request)
        assert (found.encoder.version, found.text_cosine) == (2, pytest.approx(1, abs=FP16))
        request.encoder_version = 3
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await matching(channel).ScorePair(request)
        assert error_info(caught.value).reason == "ENCODER_MISMATCH"
        request.encoder_version = 2
        encoder.is_away = True
        with pytest.raises(grpc.aio.AioRpcError):
            while True:  # until the watch has seen it
                await match(channel, title="lamp")
                await asyncio.sleep(0.02)
        assert (await matching(channel).ScorePair(request)).encoder.version == 2


async def test_an_unknown_product_is_not_found(stocked: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await score(stocked, "mug", "no such product")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert error_info(caught.value).metadata["product_id"] == "no such product"


async def test_products_of_another_encoder_are_not_compared_and_offers_still_are(
    stocked: grpc.aio.Channel, encoder: FakeEncoder
) -> None:
    encoder.current = make_contract("second", 2)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await score(stocked, "mug", "lamp")
    assert error_info(caught.value).reason == "CATALOGUE_STALE"
    assert (await score(stocked, Offer(title="a"), Offer(title="a"))).probability > 0.5
    encoder.pairs.current = make_pair_contract(has_encoder=False)
    assert (await score(stocked, "mug", "mug")).probability > 0.5


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (EncoderUnavailableError("Triton is away"), grpc.StatusCode.UNAVAILABLE),
        (EncoderFailedError("it failed"), grpc.StatusCode.INTERNAL),
    ],
)
async def test_errors_of_the_models_keep_their_family(
    stocked: grpc.aio.Channel, encoder: FakeEncoder, error: Exception, code: grpc.StatusCode
) -> None:
    encoder.pairs.error = error  # type: ignore[assignment]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await score(stocked, "mug", "lamp", reason_count=3)
    assert caught.value.code() is code


@pytest.mark.slow
async def test_a_caller_that_leaves_cancels_no_inference(
    stocked: grpc.aio.Channel, encoder: FakeEncoder
) -> None:
    encoder.pairs.may_answer = asyncio.Event()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await matching(stocked).ScorePair(
            ScorePairRequest(left=side("mug"), right=side("lamp"), reason_count=1), timeout=0.3
        )
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert encoder.pairs.batch_sizes == [1]
    encoder.pairs.may_answer.set()
    await score(stocked, "mug", "lamp")
    assert encoder.pairs.cancelled_count == 0
    assert sorted(encoder.pairs.batch_sizes) == [1, 1, 1, 2, 4]


async def test_the_best_matches_are_scored_and_ordered_as_pairs(
    channel: grpc.aio.Channel, encoder: FakeEncoder
) -> None:
    await upsert(
        channel, [Product(product_id=f"p{i}", title=f"mug {i}", price=i) for i in range(9)]
    )
    plain = await match(channel, title="mug 3", price=5, match_count=8)
    encoder.pairs.batch_sizes.clear()
    answer = await match(channel, title="mug 3", price=5, match_count=8, pair_count=6)

    scored = [m.pair_probability for m in answer.matches[:6]]
    assert scored == sorted(scored, reverse=True) and scored[0] > scored[-1]
    found = {m.product.product_id: (m.probability, m.is_match, m.score) for m in answer.matches}
    as_found = {m.product.product_id: (m.probability, m.is_match, m.score) for m in plain.matches}
    assert found == as_found and list(found)[6:] == list(as_found)[6:]
    assert list(found)[:6] != list(as_found)[:6]
    assert [m.HasField("pair_probability") for m in answer.matches] == [True] * 6 + [False] * 2
    assert answer.pair_scorer.threshold == 0.6 and not plain.HasField("pair_scorer")
    assert encoder.pairs.batch_sizes == [4, 2, 4, 2]
    offer = Offer(title="mug 3", price=5)
    for each in answer.matches[:6]:
        single = await score(channel, offer, each.product.product_id)
        assert each.pair_probability == pytest.approx(single.probability, abs=1e-6)


async def test_only_the_text_of_an_offer_is_embedded_again_for_its_pairs(
    stocked: grpc.aio.Channel, encoder: FakeEncoder
) -> None:
    encoder.texts.clear()
    await match(stocked, title="Blue mug", image=b"photo", pair_count=2)
    assert encoder.texts == ["query: Blue mug", "passage: Blue mug"]
    encoder.pairs.current = make_pair_contract(feature_names=("image_cosine", *FEATURES[3:]))
    encoder.texts.clear()
    await match(stocked, title="Blue mug", image=b"photo")
    assert encoder.texts == ["query: Blue mug"]


async def test_no_more_pairs_than_matches_can_be_asked_for(channel: grpc.aio.Channel) -> None:
    for count in (-1, 4):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await match(channel, title="x", match_count=3, pair_count=count)
        assert violated_field(caught.value) == "pair_count"
    assert not (await match(channel, title="x", match_count=3, pair_count=3)).matches


@pytest.mark.slow
async def test_a_scorer_that_hangs_holds_up_no_plain_match(
    config: ServerConfig, encoder: FakeEncoder
) -> None:
    # Nobody is refused for a long wait: a machine that stands still for a moment makes it long.
    config = replace(config, in_flight_limit=4, encode_timeout_s=0.5, wait_limit_s=60.0)
    async with serving(config, encoder) as channel:
        await upsert(channel, [MUG, LAMP])
        encoder.pairs.may_answer = asyncio.Event()
        waiting = [
            asyncio.ensure_future(match(channel, title="Blue mug", pair_count=1)) for _ in range(16)
        ]
        while not encoder.pairs.batch_sizes and not any(each.done() for each in waiting):
            await asyncio.sleep(0.01)
        for _ in range(8):
            answer = await asyncio.wait_for(match(channel, title="Blue mug"), 5)
            assert answer.matches[0].product.product_id == "mug"
        for each in waiting:  # nobody waits for a place that is not given back
            with pytest.raises(grpc.aio.AioRpcError, match="the pair scorer"):
                await asyncio.wait_for(each, 5)
        encoder.pairs.may_answer.set()
        assert (await match(channel, title="Blue mug", pair_count=1)).matches
