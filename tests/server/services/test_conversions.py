"""Messages to records and back lose nothing but what is meant to be lost."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.server.fake_encoder import make_contract
from twinshelf.server.catalogue.product_record import ProductRecord, StoredProduct
from twinshelf.server.catalogue.ranking import Hit, Ranked
from twinshelf.server.encoders.modalities import Pattern
from twinshelf.server.services.conversions import (
    encoder_info,
    modality_pattern,
    product_from_stored,
    record_from_product,
    write_match,
)
from twinshelf.v1 import product_pb2

FULL = ProductRecord(
    product_id="я-1",
    title="t",
    description="d",
    category="c",
    brand="b",
    seller="s",
    price=12.25,
    attributes={"k": "v", "": ""},
    image_uri="u",
)


def random_record(rng: np.random.Generator) -> ProductRecord:
    def text() -> str:
        return "".join(map(chr, rng.integers(0, 0xD7FF, size=rng.integers(0, 20))))

    return ProductRecord(
        product_id=text() or "x",
        title=text(),
        description=text(),
        category=text(),
        brand=text(),
        seller=text(),
        price=None if rng.random() < 0.3 else float(rng.random()) * 1e6,
        attributes={text(): text() for _ in range(rng.integers(0, 4))},
        image_uri=text(),
    )


RECORDS = [
    FULL,
    ProductRecord(product_id="bare"),
    ProductRecord(product_id="free", price=0.0),
    *(random_record(np.random.default_rng(seed)) for seed in range(20)),
]


@pytest.mark.parametrize("pattern", list(Pattern))
@pytest.mark.parametrize("record", RECORDS, ids=range(len(RECORDS)))
def test_a_record_survives_the_round_trip(record: ProductRecord, pattern: Pattern) -> None:
    stored = StoredProduct(
        record=record, pattern=pattern, digest="sha256:0", update_time_us=1_700_000_000_123_456
    )
    message = product_from_stored(stored)
    wire = product_pb2.Product.FromString(message.SerializeToString())
    assert record_from_product(wire) == record
    assert wire.pattern == int(pattern)
    assert wire.update_time.ToMicroseconds() == stored.update_time_us


def test_every_field_of_the_message_has_its_place() -> None:
    elsewhere = {"image", "further_images", "pattern", "update_time"}
    names = set(product_pb2.Product.DESCRIPTOR.fields_by_name) - elsewhere
    assert names == {field.name for field in dataclasses.fields(ProductRecord)}


def test_patterns_and_enum_values_have_equal_numbers() -> None:
    for name, number in product_pb2.ModalityPattern.items():
        short = name.removeprefix("MODALITY_PATTERN_")
        pattern = Pattern.NONE if short == "UNSPECIFIED" else Pattern[short]
        assert modality_pattern(pattern) == number == int(pattern)


@pytest.mark.parametrize(("image", "text"), [(0.5, None), (None, -0.25), (0.0, 1.0)])
def test_a_hit_tells_missing_scores_from_zero(image: float | None, text: float | None) -> None:
    ranked = Ranked(
        product_number=3,
        product_pattern=Pattern.BOTH,
        score=0.5,
        probability=0.75,
        is_match=True,
        pattern=Pattern.of(image=image is not None, text=text is not None),
        image_score=image,
        text_score=text,
    )
    stored = StoredProduct(record=FULL, pattern=Pattern.BOTH, digest="x", update_time_us=0)
    match = product_pb2.Match()
    write_match(Hit(product=stored, ranked=ranked), match)
    assert (match.score, match.probability, match.is_match) == (0.5, 0.75, True)
    assert match.pattern == int(ranked.pattern)
    assert (match.image_score if match.HasField("image_score") else None) == image
    assert (match.text_score if match.HasField("text_score") else None) == text
    assert match.product.product_id == FULL.product_id


def test_the_encoder_is_named() -> None:
    contract = make_contract("x", 5)
    info = encoder_info(contract)
    assert (info.digest, info.version) == (contract.digest, 5)
