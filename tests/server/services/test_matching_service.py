"""MatchingService on a fake encoder: what is found, with which scores, and what is refused."""

from __future__ import annotations

import grpc
import numpy as np
import pytest

from tests.server.calls import error_info, match, match_request, matching, upsert, violated_field
from tests.server.fake_encoder import (
    BROKEN_IMAGE,
    FakeEncoder,
    digest_of,
    hashed_row,
    make_contract,
)
from twinshelf.v1 import matching_service_pb2
from twinshelf.v1.filter_pb2 import Filter, Filters, FilterValues, PriceRange
from twinshelf.v1.product_pb2 import (
    MODALITY_PATTERN_BOTH,
    MODALITY_PATTERN_IMAGE,
    MODALITY_PATTERN_TEXT,
    ModalityWeights,
    Product,
)

PRODUCTS = [
    Product(product_id="both", title="Blue mug", image=b"mug photo"),
    Product(product_id="image-only", image=b"lamp photo"),
    Product(product_id="text-only", title="Red lamp"),
]


@pytest.fixture
async def stocked(channel: grpc.aio.Channel) -> grpc.aio.Channel:
    answers = await upsert(channel, PRODUCTS)
    assert all(answer.HasField("upserted") for answer in answers)
    return channel


@pytest.mark.parametrize(
    ("fields", "product_id", "pattern"),
    [
        ({"title": "Blue mug", "image": b"mug photo"}, "both", MODALITY_PATTERN_BOTH),
        ({"title": "Blue mug"}, "both", MODALITY_PATTERN_TEXT),
        ({"image": b"mug photo"}, "both", MODALITY_PATTERN_IMAGE),
        ({"image": b"lamp photo"}, "image-only", MODALITY_PATTERN_IMAGE),
        ({"title": "Red lamp"}, "text-only", MODALITY_PATTERN_TEXT),
    ],
)
async def test_the_same_product_comes_first_by_any_modality(
    stocked: grpc.aio.Channel, fields: dict[str, object], product_id: str, pattern: int
) -> None:
    answer = await match(stocked, **fields)
    best = answer.matches[0]
    assert best.product.product_id == product_id
    assert best.score == pytest.approx(1, abs=1e-3)
    assert best.probability == pytest.approx(1, abs=1e-3)
    assert best.pattern == pattern == answer.pattern
    assert best.HasField("image_score") == (pattern != MODALITY_PATTERN_TEXT)
    assert best.HasField("text_score") == (pattern != MODALITY_PATTERN_IMAGE)
    assert answer.encoder.digest == digest_of("first")
    assert answer.encoder.version == 1


async def test_a_missing_modality_is_not_punished(stocked: grpc.aio.Channel) -> None:
    answer = await match(stocked, title="Red lamp", image=b"lamp photo")
    scores = {m.product.product_id: m for m in answer.matches}
    assert scores["image-only"].score == pytest.approx(1, abs=1e-3)
    assert scores["text-only"].score == pytest.approx(1, abs=1e-3)
    assert scores["image-only"].pattern == MODALITY_PATTERN_IMAGE
    assert scores["text-only"].pattern == MODALITY_PATTERN_TEXT


async def test_products_that_share_no_modality_are_no_matches(stocked: grpc.aio.Channel) -> None:
    answer = await match(stocked, image=b"lamp photo")
    assert {m.product.product_id for m in answer.matches} == {"both", "image-only"}


@pytest.mark.parametrize("image_weight", [0.0, 0.3, 1.0, 250.0])
async def test_weights_of_the_request_give_the_weighted_mean_of_the_cosines(
    stocked: grpc.aio.Channel, image_weight: float
) -> None:
    weights = ModalityWeights(image=image_weight, text=1)
    answer = await match(stocked, title="Some mug", image=b"some photo", weights=weights)
    image = float(hashed_row(b"some photo", 16) @ hashed_row(b"mug photo", 16))
    text = float(hashed_row(b"Some mug", 16) @ hashed_row(b"Blue mug", 16))
    (found,) = [m for m in answer.matches if m.product.product_id == "both"]
    expected = (image_weight * image + text) / (image_weight + 1)
    # Stored vectors are fp16: 11 bits a component.
    assert found.score == pytest.approx(expected, abs=2e-3)
    assert found.image_score == pytest.approx(image, abs=2e-3)
    assert found.text_score == pytest.approx(text, abs=2e-3)


async def test_weights_default_to_those_of_the_encoder(stocked: grpc.aio.Channel) -> None:
    plain = await match(stocked, title="Some mug", image=b"some photo")
    asked = await match(
        stocked, title="Some mug", image=b"some photo", weights=ModalityWeights(image=0.3, text=0.7)
    )
    assert [m.score for m in plain.matches] == pytest.approx([m.score for m in asked.matches])


async def test_min_probability_drops_the_unlikely(stocked: grpc.aio.Channel) -> None:
    answer = await match(stocked, title="Blue mug", min_probability=0.9)
    assert [m.product.product_id for m in answer.matches] == ["both"]


async def test_the_probability_of_a_match_as_the_least_one_leaves_it_in(
    channel: grpc.aio.Channel,
) -> None:
    await upsert(channel, [Product(product_id=f"p{i}", title=f"mug {i}") for i in range(20)])
    matches = (await match(channel, title="mug")).matches
    for place, each in enumerate(matches, 1):
        found = await match(channel, title="mug", min_probability=each.probability)
        assert len(found.matches) >= place


async def test_a_filter_leaves_only_the_products_it_allows(channel: grpc.aio.Channel) -> None:
    await upsert(
        channel,
        [
            Product(product_id="tea", title="tea", category="Grocery/Tea", price=3),
            Product(product_id="green", title="green tea", category="Grocery/Tea/Green", price=5),
            Product(product_id="pot", title="tea pot", category="Kitchen", price=9),
        ],
    )
    condition = Filter(category=FilterValues(values=["Grocery/Tea"]))
    answer = await match(channel, title="tea", filter=condition)
    assert {m.product.product_id for m in answer.matches} == {"tea", "green"}
    assert answer.filter_plan.allowed_count == 2
    assert answer.filter_plan.search == matching_service_pb2.FilterPlan.SEARCH_EXACT
    dear = Filter(all_of=Filters(filters=[condition, Filter(price=PriceRange(min=4))]))
    answer = await match(channel, title="tea", filter=dear)
    assert [m.product.product_id for m in answer.matches] == ["green"]
    assert not (await match(channel, title="tea")).HasField("filter_plan")


async def test_a_limit_of_values_and_excluded_products_are_kept(channel: grpc.aio.Channel) -> None:
    await upsert(
        channel,
        [Product(product_id=f"{n}", title=f"tea {n}", seller="one") for n in range(3)]
        + [Product(product_id="x", title="tea x", seller="two")],
    )
    limit = matching_service_pb2.ValueLimit(field="seller", match_count=1)
    answer = await match(channel, title="tea 1", value_limit=limit)
    assert [m.product.seller for m in answer.matches].count("one") == 1
    assert answer.matches[0].product.product_id == "1"
    answer = await match(channel, title="tea 1", excluded_product_ids=["1"])
    assert {m.product.product_id for m in answer.matches} == {"0", "2", "x"}


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"excluded_product_ids": ["x"] * 101}, "excluded_product_ids"),
        ({"value_limit": {"field": "colour", "match_count": 1}}, "value_limit.field"),
        ({"value_limit": {"field": "attributes.", "match_count": 1}}, "value_limit.field"),
        (
            {"value_limit": {"field": "attributes." + "x" * 1024, "match_count": 1}},
            "value_limit.field",
        ),
        ({"value_limit": {"field": "seller"}}, "value_limit.match_count"),
    ],
)
async def test_a_bad_limit_or_too_many_exclusions_are_refused(
    stocked: grpc.aio.Channel, options: dict[str, object], field: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await match(stocked, title="tea", **options)
    assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert violated_field(raised.value) == field


async def test_a_bad_filter_is_refused_and_its_part_is_named(stocked: grpc.aio.Channel) -> None:
    bad = Filter(any_of=Filters(filters=[Filter(brand=FilterValues(values=["x"])), Filter()]))
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await match(stocked, title="tea", filter=bad)
    assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert violated_field(raised.value) == "filter.any_of.filters[1]"


async def test_the_prior_of_the_request_shifts_probabilities(stocked: grpc.aio.Channel) -> None:
    usual, rare, sure = [
        await match(stocked, title="Some mug", **prior)
        for prior in ({}, {"match_prior": 0.1}, {"match_prior": 1.0})
    ]
    odds = [1 / each.no_match_probability - 1 for each in (usual, rare)]
    assert odds[1] == pytest.approx(odds[0] / 9)
    assert sure.no_match_probability == 0
    probabilities = [each.matches[0].probability for each in (rare, usual, sure)]
    assert probabilities == sorted(probabilities)


async def test_the_precision_of_the_request_decides_what_is_a_match(
    stocked: grpc.aio.Channel,
) -> None:
    answer = await match(stocked, title="Blue mug")
    assert [m.is_match for m in answer.matches] == [m.probability >= 0.95 for m in answer.matches]
    loose = await match(stocked, title="Blue mug", target_precision=0.5)
    assert [m.is_match for m in loose.matches] == [m.probability >= 0.5 for m in answer.matches]
    assert loose.matches[0].is_match


async def test_match_count_cuts_and_defaults_to_ten(channel: grpc.aio.Channel) -> None:
    await upsert(channel, [Product(product_id=f"p{i:02}", title=f"mug {i}") for i in range(15)])
    assert len((await match(channel, title="mug 3")).matches) == 10
    assert len((await match(channel, title="mug 3", match_count=2)).matches) == 2
    assert len((await match(channel, title="mug 3", match_count=1000)).matches) == 15


async def test_of_equal_scores_what_was_stored_first_comes_first(channel: grpc.aio.Channel) -> None:
    await upsert(channel, [Product(product_id=name, title="mug") for name in "cab"])
    answer = await match(channel, title="mug")
    assert [m.product.product_id for m in answer.matches] == ["c", "a", "b"]


async def test_an_empty_catalogue_has_no_matches(channel: grpc.aio.Channel) -> None:
    answer = await match(channel, title="mug")
    assert not answer.matches and answer.no_match_probability == 1


async def test_a_match_carries_the_product_but_not_its_photo(channel: grpc.aio.Channel) -> None:
    product = Product(
        product_id="p",
        title="mug",
        price=0.0,
        attributes={"volume": "300 ml"},
        image_uri="mug.jpg",
        image=b"photo",
    )
    await upsert(channel, [product])
    found = (await match(channel, image=b"photo")).matches[0].product
    assert found.HasField("price")
    assert found.price == 0
    assert dict(found.attributes) == {"volume": "300 ml"}
    assert found.image_uri == "mug.jpg"
    assert not found.image
    assert found.HasField("update_time")


async def test_texts_are_joined_and_prefixed_by_the_contract(
    channel: grpc.aio.Channel, encoder: FakeEncoder
) -> None:
    await match(channel, description="d", title="t", attributes={"b": "2", "a": "1"}, brand=" ")
    assert encoder.texts == ["query: t | d | a: 1, b: 2"]
    await upsert(channel, [Product(product_id="p", title="t", seller="unseen")])
    assert encoder.texts[1:] == ["passage: t"]


NAN = float("nan")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fields", "field", "sentence"),
    [
        ({}, "offer", "offer must have an image or a text"),
        ({"title": " \n"}, "offer", "offer must have an image or a text"),
        ({"image": b"x" * (64 * 1024 + 1)}, "offer.image", "at most 65536 bytes, got 65537"),
        ({"title": "x" * 1_000_000}, "offer", "at most 65536 bytes of UTF-8, got 1000000"),
        ({"title": "x", "attributes": {"a": "x" * 65536}}, "offer", "got 65538"),
        (
            {"title": "x", "attributes": {str(i): "x" for i in range(257)}},
            "offer.attributes",
            "at most 256, got 257",
        ),
        ({"title": "x", "match_count": 0}, "match_count", "1 to 1000, got 0"),
        ({"title": "x", "match_count": -1}, "match_count", "1 to 1000, got -1"),
        ({"title": "x", "match_count": 1_000_000}, "match_count", "1 to 1000, got 1000000"),
        ({"title": "x", "match_prior": 0.0}, "match_prior", "above 0 and at most 1, got 0.0"),
        ({"title": "x", "match_prior": NAN}, "match_prior", "above 0 and at most 1, got nan"),
        ({"title": "x", "target_precision": 1.0}, "target_precision", "below 1, or 0 for 0.95"),
        ({"title": "x", "target_precision": NAN}, "target_precision", "got nan"),
        ({"title": "x", "min_probability": 1.5}, "min_probability", "0 to 1, got 1.5"),
        ({"title": "x", "min_probability": -0.5}, "min_probability", "0 to 1, got -0.5"),
        ({"title": "x", "min_probability": NAN}, "min_probability", "0 to 1, got nan"),
        ({"title": "x", "weights": ModalityWeights()}, "weights", "both are zero"),
        ({"title": "x", "weights": ModalityWeights(text=-1)}, "weights", "got -1"),
        ({"title": "x", "weights": ModalityWeights(text=NAN)}, "weights", "got nan"),
        ({"title": "x", "weights": ModalityWeights(text=float("inf"))}, "weights", "got inf"),
        ({"title": "x", "weights": ModalityWeights(image=1)}, "weights", "only the text"),
        ({"title": "x", "encoder_version": -2}, "encoder_version", "zero or more, got -2"),
        ({"image": BROKEN_IMAGE}, "offer.image", "must be a JPEG, PNG or WebP"),
    ],
)
async def test_unusable_requests_are_refused_by_a_sentence_that_names_the_field(
    channel: grpc.aio.Channel, fields: dict[str, object], field: str, sentence: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await match(channel, **fields)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert sentence in (caught.value.details() or "")
    assert violated_field(caught.value) == field
    assert error_info(caught.value).domain == "twinshelf.v1"


@pytest.mark.parametrize(
    ("fields", "expected", "serving"),
    [
        ({"encoder_digest": digest_of("other")}, digest_of("other"), digest_of("first")),
        ({"encoder_version": 7}, "version 7", "version 1"),
    ],
)
async def test_another_encoder_than_expected_is_refused_and_both_are_named(
    stocked: grpc.aio.Channel, fields: dict[str, object], expected: str, serving: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await match(stocked, title="x", **fields)
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert expected in (caught.value.details() or "")
    assert serving in (caught.value.details() or "")
    assert error_info(caught.value).reason == "ENCODER_MISMATCH"


async def test_the_expected_encoder_answers(stocked: grpc.aio.Channel) -> None:
    answer = await match(
        stocked, title="Red lamp", encoder_digest=digest_of("first"), encoder_version=1
    )
    assert answer.matches


async def test_a_catalogue_of_another_encoder_is_refused_until_it_is_embedded_again(
    stocked: grpc.aio.Channel, encoder: FakeEncoder
) -> None:
    encoder.current = make_contract("second", 2)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await match(stocked, title="Red lamp")
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    sentence = caught.value.details() or ""
    for part in (digest_of("first"), digest_of("second"), "3 products", "twinshelf index FILE"):
        assert part in sentence
    assert error_info(caught.value).metadata["stale_product_count"] == "3"
    await upsert(stocked, PRODUCTS)
    answer = await match(stocked, title="Red lamp")
    assert answer.matches[0].product.product_id == "text-only"
    assert answer.encoder.version == 2


async def test_unknown_errors_are_internal_and_tell_nothing_of_the_inside(
    channel: grpc.aio.Channel, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await matching(channel).MatchProduct(
            match_request(title="crash"), metadata=(("x-request-id", "my-request"),)
        )
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "my-request" in (caught.value.details() or "")
    assert "secret" not in (caught.value.details() or "")
    assert "a secret of the inside" in caplog.text
    assert "my-request" in caplog.text


async def test_an_absent_encoder_is_unavailable_until_it_is_back(
    stocked: grpc.aio.Channel, encoder: FakeEncoder
) -> None:
    encoder.is_away = True
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await match(stocked, title="Red lamp")
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    encoder.is_away = False
    assert (await match(stocked, title="Red lamp")).matches


async def test_scores_agree_with_cosines_computed_directly(channel: grpc.aio.Channel) -> None:
    titles = [f"product {i}" for i in range(40)]
    await upsert(channel, [Product(product_id=t, title=t) for t in titles])
    answer = await match(channel, title="an offer", match_count=40)
    query = hashed_row(b"an offer", 16)
    expected = {t: float(hashed_row(t.encode(), 16) @ query) for t in titles}
    got = {m.product.product_id: m.score for m in answer.matches}
    assert got == pytest.approx(expected, abs=1e-3)
    assert [m.score for m in answer.matches] == sorted(got.values(), reverse=True)
    assert np.isfinite(list(got.values())).all()
