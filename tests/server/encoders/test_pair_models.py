"""What goes to the models of the pair scorer, and what of their answers is believed."""

from __future__ import annotations

import numpy as np
import pytest

from tests.server.fake_pair_models import make_pair_contract
from twinshelf.server.encoders.pair_cosines import Cosines
from twinshelf.server.encoders.pair_models import (
    Pair,
    PairRecord,
    checked_features,
    checked_probabilities,
    cosine_rows,
)
from twinshelf.server.errors import EncoderFailedError
from twinshelf.training.catalogues.product import Product
from twinshelf.training.pairs.records import record_to_json

CONTRACT = make_pair_contract(feature_names=("text_cosine", "price_log_ratio"))


@pytest.mark.parametrize(
    "product",
    [
        Product(product_id="x", title="чай 500 g", brand="Ahmad", price=0.0),
        Product(product_id="x", description="<b>tea</b>", category="Tea", price=2.5),
        Product(product_id="x", title='say "tea"', attributes={"colour": "red", "size": "m"}),
    ],
)
def test_a_record_travels_as_training_writes_it(product: Product) -> None:
    record = PairRecord(
        title=product.title,
        description=product.description,
        category=product.category,
        brand=product.brand,
        price=product.price,
        attributes=dict(reversed(list(product.attributes.items()))),
    )
    assert record.to_json().decode() == record_to_json(product)


def test_unknown_cosines_are_nan_and_those_of_main_pictures_always_are() -> None:
    record = PairRecord(title="", description="", category="", brand="", price=None, attributes={})
    pairs = [Pair(left=record, right=record, cosines=Cosines(text=0.5))] * 2
    nan = np.nan
    np.testing.assert_array_equal(cosine_rows(pairs, CONTRACT), [[nan, 0.5, nan]] * 2)
    wide = make_pair_contract(feature_names=("main_image_cosine",))
    np.testing.assert_array_equal(cosine_rows(pairs, wide), [[nan, 0.5, nan, nan]] * 2)


@pytest.mark.parametrize("rows", [None, np.zeros((2, 3)), np.zeros(4), np.zeros((1, 2))])
def test_an_answer_that_is_no_features_is_refused(rows: object) -> None:
    with pytest.raises(EncoderFailedError, match="no answer"):
        checked_features(rows, 2, CONTRACT)


@pytest.mark.parametrize("rows", [None, [[0.5], [1.5]], [[0.5], [np.nan]], [0.5, 0.5]])
def test_an_answer_that_is_no_probability_is_refused(rows: object) -> None:
    with pytest.raises(EncoderFailedError, match="no answer"):
        checked_probabilities(rows, 2)
