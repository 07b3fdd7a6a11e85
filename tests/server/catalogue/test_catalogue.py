"""What every implementation of the catalogue promises, against brute force over a dictionary.

A new implementation joins `open_catalogue`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.server.catalogue.products import CONTRACT, new_product, query_of, random_embedding
from tests.server.fake_encoder import make_contract
from twinshelf.server.catalogue.catalogue import Catalogue
from twinshelf.server.catalogue.graph import IndexSettings
from twinshelf.server.catalogue.ranking import Query
from twinshelf.server.catalogue.sqlite_catalogue import SqliteCatalogue
from twinshelf.server.encoders.embedding import OfferEmbedding
from twinshelf.server.encoders.modalities import Pattern, Weights
from twinshelf.server.errors import EncoderUnavailableError, ServerStoppingError

OpenCatalogue = Callable[[], Catalogue]
BOTH = CONTRACT.weights
# Neighbours whose inner products differ by less than the index can tell may change places.
LEAST_RECALL = 0.99
SETTINGS = {
    "sqlite_exact": IndexSettings(slot_count=2),
    # The graph is searched, not the vectors one by one, and it is merged often.
    "sqlite_graph": IndexSettings(
        slot_count=2, exact_limit=0, churn_share=0.1, churn_floor=20, merge_floor=50
    ),
}


@pytest.fixture(params=SETTINGS)
def open_catalogue(request: pytest.FixtureRequest, tmp_path: Path) -> OpenCatalogue:
    """Opens the catalogue of this test, again after it was closed."""
    return lambda: SqliteCatalogue(tmp_path, reader_count=2, settings=SETTINGS[request.param])


def slow_scores(query: Query, products: dict[str, OfferEmbedding]) -> dict[str, float]:
    """Scores by the definition: the weighted mean of the cosines that both sides have."""
    scores = {}
    for product_id, product in products.items():
        total = shared = 0.0
        for ours, theirs, weight in (
            (query.embedding.image, product.image, query.weights.image),
            (query.embedding.text, product.text, query.weights.text),
        ):
            if ours is not None and theirs is not None:
                total += weight * float(ours @ theirs)
                shared += weight
        if shared > 0:
            scores[product_id] = total / shared
    return scores


async def fill(
    catalogue: Catalogue, rng: np.random.Generator, count: int
) -> dict[str, OfferEmbedding]:
    """Writes, replaces and deletes at random; returns what must stand there in the end."""
    await catalogue.use_encoder(CONTRACT)
    expected: dict[str, OfferEmbedding] = {}
    for step in range(4):
        writes = []
        for number in rng.integers(0, count, size=count):
            pattern = Pattern(int(rng.choice([1, 2, 3], p=[0.1, 0.2, 0.7])))
            embedding = random_embedding(rng, pattern)
            expected[f"p{number}"] = embedding
            writes.append(catalogue.upsert(new_product(f"p{number}", embedding)))
        await asyncio.gather(*writes)
        if step < 3:
            gone = [str(name) for name in rng.choice(sorted(expected), size=count // 10)]
            deleted = await catalogue.delete([*gone, "never there"])
            assert deleted.missing == ("never there",)
            for name in gone:
                expected.pop(name, None)
    return expected


async def check_against_brute_force(
    catalogue: Catalogue, expected: dict[str, OfferEmbedding], rng: np.random.Generator
) -> float:
    """Returns the recall of the ten best; every score must be right and in order."""
    found_count = wanted_count = 0
    for trial in range(60):
        pattern = Pattern(1 + trial % 3)
        weights = [BOTH, Weights(image=1, text=0.05), Weights(image=0.05, text=1)][trial % 2]
        query = query_of(random_embedding(rng, pattern), weights=weights)
        scores = slow_scores(query, expected)
        hits = (await catalogue.search(query)).hits
        assert len(hits) == min(10, len(scores))
        got = [hit.ranked.score for hit in hits]
        assert got == sorted(got, reverse=True)
        for hit in hits:
            # fp16 keeps 11 bits of each component.
            assert hit.ranked.score == pytest.approx(
                scores[hit.product.record.product_id], abs=2e-3
            )
        best = sorted(scores.values(), reverse=True)[:10]
        wanted_count += len(best)
        found_count += sum(score >= best[-1] - 2e-3 for score in got)
    return found_count / wanted_count


async def test_search_agrees_with_brute_force_and_survives_a_restart(
    open_catalogue: OpenCatalogue,
) -> None:
    rng = np.random.default_rng(42)
    catalogue = open_catalogue()
    expected = await fill(catalogue, rng, 400)
    assert await check_against_brute_force(catalogue, expected, rng) >= LEAST_RECALL
    stats = await catalogue.stats(CONTRACT.digest)
    assert stats.product_count == stats.indexed_vector_count == len(expected)
    assert stats.image_count == sum(e.image is not None for e in expected.values())
    assert stats.text_count == sum(e.text is not None for e in expected.values())
    await catalogue.close()

    catalogue = open_catalogue()
    await catalogue.use_encoder(CONTRACT)
    assert await check_against_brute_force(catalogue, expected, rng) >= LEAST_RECALL
    again = await catalogue.stats(CONTRACT.digest)
    assert again == stats
    await catalogue.close()


async def test_writing_the_same_again_does_not_churn_the_index(
    open_catalogue: OpenCatalogue,
) -> None:
    catalogue = open_catalogue()
    await catalogue.use_encoder(CONTRACT)
    embedding = random_embedding(np.random.default_rng(1), Pattern.BOTH)
    first = await catalogue.upsert(new_product("p", embedding))
    again = await catalogue.upsert(new_product("p", embedding))
    assert first.vector_changed
    assert again.replaced
    assert not again.vector_changed
    assert (await catalogue.stats(None)).change_sequence == 2
    await catalogue.close()


@pytest.mark.slow
async def test_a_product_never_vanishes_while_it_is_replaced(open_catalogue: OpenCatalogue) -> None:
    rng = np.random.default_rng(3)
    catalogue = open_catalogue()
    await catalogue.use_encoder(CONTRACT)
    embedding = random_embedding(rng, Pattern.BOTH)
    await catalogue.upsert(new_product("p", embedding))

    async def replace() -> None:
        for _ in range(200):
            await catalogue.upsert(new_product("p", random_embedding(rng, Pattern.BOTH)))

    writing = asyncio.ensure_future(replace())
    while not writing.done():
        hits = (await catalogue.search(query_of(embedding))).hits
        assert [hit.product.record.product_id for hit in hits] == ["p"]
    await writing
    await catalogue.close()


async def test_products_of_another_encoder_are_counted_as_stale_and_not_indexed(
    open_catalogue: OpenCatalogue,
) -> None:
    rng = np.random.default_rng(5)
    other = make_contract("other", 2, image_dim=8, embedding_dim=24)
    row = rng.normal(size=8).astype(np.float32)
    small = OfferEmbedding(image=row / np.linalg.norm(row), text=None)
    catalogue = open_catalogue()
    await catalogue.use_encoder(CONTRACT)
    await catalogue.upsert(new_product("ours", random_embedding(rng, Pattern.IMAGE)))
    await catalogue.upsert(new_product("theirs", small, other))
    assert catalogue.stale_counts(CONTRACT.digest) == {other.digest: 1}
    hits = (await catalogue.search(query_of(random_embedding(rng, Pattern.IMAGE)))).hits
    assert [hit.product.record.product_id for hit in hits] == ["ours"]
    await catalogue.use_encoder(other)
    assert (await catalogue.stats(other.digest)).indexed_vector_count == 1
    with pytest.raises(EncoderUnavailableError):
        await catalogue.search(query_of(random_embedding(rng, Pattern.IMAGE)))
    await catalogue.upsert(new_product("ours", small, other))
    assert catalogue.stale_counts(other.digest) == {}
    assert (await catalogue.stats(other.digest)).indexed_vector_count == 2
    await catalogue.close()


async def test_a_closed_catalogue_takes_no_writes(open_catalogue: OpenCatalogue) -> None:
    catalogue = open_catalogue()
    await catalogue.close()
    with pytest.raises(ServerStoppingError):
        await catalogue.delete(["p"])


async def test_products_come_with_what_their_encoder_made_of_them(
    open_catalogue: OpenCatalogue,
) -> None:
    catalogue = open_catalogue()
    await catalogue.use_encoder(CONTRACT)
    rng = np.random.default_rng(5)
    made = {name: random_embedding(rng, Pattern[name.upper()]) for name in ("image", "both")}
    for product_id, embedding in made.items():
        await catalogue.upsert(new_product(product_id, embedding))
    other = make_contract("second", 2)
    await catalogue.upsert(new_product("foreign", random_embedding(rng), other))

    found = await catalogue.embedded_products(["both", "foreign", "gone", "image"], CONTRACT)

    assert set(found) == {"both", "foreign", "image"}
    assert found["foreign"].embedding is None
    assert found["both"].product.record.title == "title of both"
    for product_id, expected in made.items():
        stored = found[product_id].embedding
        assert stored is not None and stored.pattern is expected.pattern
        for half, whole in ((stored.image, expected.image), (stored.text, expected.text)):
            if half is not None and whole is not None:
                np.testing.assert_allclose(half, whole, atol=1e-3)  # fp16
    assert await catalogue.embedded_products([], CONTRACT) == {}
    await catalogue.close()
