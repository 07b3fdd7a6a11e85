"""The service scores pairs as the batch command does, by Triton and in its own process."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.end_to_end.conftest import Published
from tests.end_to_end.offers import photos
from tests.training.pairs.made_pairs import make_pairs
from twinshelf.client import records
from twinshelf.client.async_client import AsyncClient
from twinshelf.training.catalogues.product import Product
from twinshelf.training.pairs.blend import BlendedScorer
from twinshelf.training.pairs.features import Cosines

pytestmark = pytest.mark.triton

# Of the graph's float32 sums of leaves, in probabilities and in log odds.
TOLERANCE, LOG_ODDS_TOLERANCE = 1e-5, 1e-3
# Stored vectors are fp16: 11 bits a component.
STORED_TOLERANCE = 2e-3


@pytest.fixture(scope="module")
def batch(published: Published) -> BlendedScorer:
    return BlendedScorer.load(published.pair_run)


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Product, Product]]:
    """Pairs with photos on both sides, on one, and on none."""
    folder = tmp_path_factory.mktemp("photos")
    files = []
    for number, photo in enumerate(photos()):
        files.append(folder / f"{number}.photo")
        files[-1].write_bytes(photo)
    return [
        (
            replace(pair.left, images=(files[number % 5],) if number % 3 else ()),
            replace(
                pair.right,
                images=(files[(number + 1) % 5],) if number % 2 else (),
                attributes={"colour": "black", "volume": "500 ml"} if number % 4 else {},
            ),
        )
        for number, pair in enumerate(make_pairs(14, seed=5))
    ]


def offer_of(product: Product) -> records.Offer:
    return records.Offer(
        image=product.images[0].read_bytes() if product.images else b"",
        title=product.title,
        brand=product.brand,
        price=product.price,
        attributes=product.attributes,
    )


def stored_of(product: Product) -> records.Product:
    return records.Product(
        product_id=product.product_id,
        image=product.images[0].read_bytes() if product.images else b"",
        title=product.title,
        brand=product.brand,
        price=product.price,
        attributes=product.attributes,
    )


async def test_pairs_of_offers_score_and_are_explained_as_in_the_batch_command(
    either_client: AsyncClient, batch: BlendedScorer, sides: list[tuple[Product, Product]]
) -> None:
    expected = batch.score(sides)
    assert expected.std() > 0.1
    known = batch.cosines(sides)
    for (left, right), probability, cosines in zip(sides, expected, known, strict=True):
        found = await either_client.score_pair(offer_of(left), offer_of(right), reason_count=1000)

        assert found.probability == pytest.approx(probability, abs=TOLERANCE)
        assert found.is_match == (probability >= batch.threshold)
        assert found.text_cosine == pytest.approx(cosines.text, abs=1e-5)
        assert found.fused_cosine == pytest.approx(cosines.fused, abs=1e-5)
        image = np.nan if found.image_cosine is None else found.image_cosine
        assert image == pytest.approx(cosines.image, abs=1e-5, nan_ok=True)
        explained = batch.boosting.explain(left, right, cosines)
        effects = {reason.feature: reason.log_odds for reason in found.reasons}
        assert effects == {
            each.feature: pytest.approx(each.log_odds, abs=LOG_ODDS_TOLERANCE) for each in explained
        }
        strength = [abs(reason.log_odds) for reason in found.reasons]
        assert strength == sorted(strength, reverse=True) and strength[0] > 0.1


async def test_stored_products_are_compared_by_their_stored_vectors(
    either_client: AsyncClient, batch: BlendedScorer, sides: list[tuple[Product, Product]]
) -> None:
    stored = [
        answer async for answer in either_client.upsert(stored_of(right) for _, right in sides)
    ]
    assert not any(answer.error for answer in stored)
    known = batch.cosines(sides)
    for (left, right), cosines in zip(sides, known, strict=True):
        found = await either_client.score_pair(offer_of(left), right.product_id)

        assert found.text_cosine == pytest.approx(cosines.text, abs=STORED_TOLERANCE)
        values = (found.image_cosine, found.text_cosine, found.fused_cosine)
        used = Cosines.of([np.nan if value is None else value for value in values])
        (expected,) = batch.boosting.score([(left, right)], [used])
        assert found.probability == pytest.approx(expected, abs=TOLERANCE)
        assert found.reasons == ()


async def test_matches_are_scored_as_pairs_by_request(
    either_client: AsyncClient, sides: list[tuple[Product, Product]]
) -> None:
    products = [right for _, right in sides]
    assert not any([a.error async for a in either_client.upsert(map(stored_of, products))])
    offer = offer_of(sides[7][0])
    plain = await either_client.match(offer, records.MatchOptions(match_count=6))
    result = await either_client.match(offer, records.MatchOptions(match_count=6, pair_count=4))

    scores = [m.pair_probability or 0 for m in result.matches]
    assert scores == sorted(scores, reverse=True)
    assert {m.product.product_id for m in result.matches[:4]} == {
        m.product.product_id for m in plain.matches[:4]
    }
    assert plain.scorer is None and plain.matches[0].pair_probability is None
    assert [m.pair_probability is None for m in result.matches] == [False] * 4 + [True] * 2
    for match in result.matches[:4]:
        single = await either_client.score_pair(offer, match.product.product_id)
        assert single.scorer == result.scorer
        assert match.pair_probability == pytest.approx(single.probability, abs=TOLERANCE)
