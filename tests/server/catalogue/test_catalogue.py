"""What every implementation of the catalogue promises, against brute force over a dictionary."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from tests.server.catalogue.conftest import OpenCatalogue
from tests.server.catalogue.products import CONTRACT, new_product, query_of, random_embedding
from tests.server.catalogue.random_facets import random_filter, random_record
from tests.server.fake_encoder import make_contract
from twinshelf.server.catalogue.catalogue import Catalogue
from twinshelf.server.catalogue.product_filter import FieldIn, is_allowed
from twinshelf.server.catalogue.product_record import ProductRecord
from twinshelf.server.catalogue.ranking import Query, ValueLimit
from twinshelf.server.encoders.embedding import OfferEmbedding
from twinshelf.server.encoders.modalities import Pattern, Weights
from twinshelf.server.errors import (
    EncoderUnavailableError,
    ProductChangedError,
    ServerStoppingError,
)

BOTH = CONTRACT.weights
# Neighbours whose inner products differ by less than the index can tell may change places.
LEAST_RECALL = 0.99


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


@pytest.mark.slow
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


async def fill_with_facets(
    catalogue: Catalogue, rng: np.random.Generator, count: int
) -> dict[str, tuple[ProductRecord, OfferEmbedding]]:
    """Writes products twice, the second time with other facets, and removes some."""
    await catalogue.use_encoder(CONTRACT)
    expected = {}
    embeddings = {f"p{number}": random_embedding(rng) for number in range(count)}
    for _ in range(2):
        writes = []
        for product_id, embedding in embeddings.items():
            record = random_record(rng, product_id)
            expected[product_id] = (record, embedding)
            writes.append(catalogue.upsert(new_product(product_id, embedding, record=record)))
        await asyncio.gather(*writes)
    gone = [f"p{number}" for number in range(0, count, 10)]
    await catalogue.delete(gone)
    for product_id in gone:
        del expected[product_id]
    return expected


async def check_filters(
    catalogue: Catalogue,
    expected: dict[str, tuple[ProductRecord, OfferEmbedding]],
    rng: np.random.Generator,
) -> float:
    """Returns the recall of the ten best that a filter allows; no other may be found."""
    found_count = wanted_count = 0
    for _ in range(60):
        condition = random_filter(rng)
        query = query_of(random_embedding(rng), condition=condition)
        allowed = {
            product_id: embedding
            for product_id, (record, embedding) in expected.items()
            if is_allowed(record, condition)
        }
        page = await catalogue.search(query)
        assert page.plan is not None
        assert page.plan.allowed_count == len(allowed)
        found = [hit.product.record.product_id for hit in page.hits]
        assert set(found) <= set(allowed)
        assert len(found) == min(10, len(allowed))
        scores = slow_scores(query, allowed)
        best = sorted(scores.values(), reverse=True)[:10]
        wanted_count += len(best)
        found_count += sum(scores[product_id] >= best[-1] - 2e-3 for product_id in found)
    return found_count / wanted_count


@pytest.mark.slow
async def test_a_filtered_search_agrees_with_brute_force_and_survives_a_restart(
    open_catalogue: OpenCatalogue,
) -> None:
    rng = np.random.default_rng(43)
    catalogue = open_catalogue()
    expected = await fill_with_facets(catalogue, rng, 300)
    assert await check_filters(catalogue, expected, rng) >= LEAST_RECALL
    await catalogue.snapshot()
    assert await check_filters(catalogue, expected, rng) >= LEAST_RECALL
    await catalogue.close()

    catalogue = open_catalogue()
    await catalogue.use_encoder(CONTRACT)
    assert await check_filters(catalogue, expected, rng) >= LEAST_RECALL
    await catalogue.close()


def slow_limited(
    scores: dict[str, float], values: dict[str, str], limit: int, count: int
) -> list[float]:
    """Takes the best by turns, but of each value only so many."""
    taken: list[float] = []
    counts: Counter[str] = Counter()
    for product_id, score in sorted(scores.items(), key=lambda item: -item[1]):
        counts[values[product_id]] += 1
        if not values[product_id] or counts[values[product_id]] <= limit:
            taken.append(score)
    return taken[:count]


@pytest.mark.slow
@pytest.mark.parametrize("field", ["seller", "attributes.colour"])
async def test_a_value_has_no_more_hits_than_its_limit_and_others_take_the_room(
    open_catalogue: OpenCatalogue, field: str
) -> None:
    rng = np.random.default_rng(44)
    catalogue = open_catalogue()
    expected = await fill_with_facets(catalogue, rng, 300)
    values = {
        product_id: record.attributes.get("colour", "") if "." in field else record.seller
        for product_id, (record, _) in expected.items()
    }
    # Most products share one value, so that the first candidates are full of it.
    for product_id in sorted(expected)[:200]:
        record = replace(expected[product_id][0], seller="big", attributes={"colour": "big"})
        expected[product_id] = (record, expected[product_id][1])
        await catalogue.upsert(new_product(product_id, expected[product_id][1], record=record))
        values[product_id] = "big"
    for _ in range(20):
        limit = int(rng.integers(1, 4))
        query = query_of(
            random_embedding(rng), value_limit=ValueLimit(field=field, match_count=limit)
        )
        hits = (await catalogue.search(query)).hits
        scores = slow_scores(query, {key: embedding for key, (_, embedding) in expected.items()})
        wanted = slow_limited(scores, values, limit, 10)
        assert [hit.ranked.score for hit in hits] == pytest.approx(wanted, abs=4e-3)
        counts = Counter(values[hit.product.record.product_id] for hit in hits)
        assert all(count <= limit for value, count in counts.items() if value)
        pages = [replace(query, skip_count=skip, match_count=skip + 2) for skip in (0, 2, 4, 6, 8)]
        in_pages = [hit for page in pages for hit in (await catalogue.search(page)).hits]
        assert [hit.product for hit in in_pages] == [hit.product for hit in hits]
    await catalogue.close()


async def test_a_limit_of_a_value_allows_that_no_product_meets_the_filter(
    open_catalogue: OpenCatalogue,
) -> None:
    rng = np.random.default_rng(46)
    catalogue = open_catalogue()
    await catalogue.use_encoder(CONTRACT)
    await catalogue.upsert(new_product("p", random_embedding(rng)))
    nobody = FieldIn(field="brand", values=frozenset({"nobody"}))
    limit = ValueLimit(field="brand", match_count=1)
    page = await catalogue.search(
        query_of(random_embedding(rng), condition=nobody, value_limit=limit)
    )
    assert not page.hits and page.no_match_probability == pytest.approx(1)
    await catalogue.close()


async def test_excluded_products_are_left_out_and_are_no_rivals(
    open_catalogue: OpenCatalogue,
) -> None:
    rng = np.random.default_rng(45)
    catalogue = open_catalogue()
    await catalogue.use_encoder(CONTRACT)
    embedding = random_embedding(rng)
    for product_id in ("own", "twin", "other"):
        same = product_id != "other"
        await catalogue.upsert(
            new_product(product_id, embedding if same else random_embedding(rng))
        )
    page = await catalogue.search(query_of(embedding, excluded_ids=("own", "unknown")))
    assert [hit.product.record.product_id for hit in page.hits] == ["twin", "other"]
    await catalogue.delete(["own"])
    without = await catalogue.search(query_of(embedding))
    assert [hit.ranked for hit in page.hits] == [hit.ranked for hit in without.hits]
    await catalogue.close()


async def test_a_search_without_a_filter_names_no_plan(open_catalogue: OpenCatalogue) -> None:
    catalogue = open_catalogue()
    await catalogue.use_encoder(CONTRACT)
    assert (await catalogue.search(query_of(random_embedding(np.random.default_rng(1))))).plan is (
        None
    )
    await catalogue.close()


async def test_a_product_that_was_made_from_an_older_one_is_refused_alone(
    open_catalogue: OpenCatalogue,
) -> None:
    rng = np.random.default_rng(2)
    catalogue = open_catalogue()
    await catalogue.use_encoder(CONTRACT)
    await catalogue.upsert(new_product("p", random_embedding(rng)))
    stored = await catalogue.changeable("p")
    assert stored is not None
    assert stored.vectors[CONTRACT.digest].vector.shape == (CONTRACT.dimension,)
    new = replace(new_product("p", random_embedding(rng)), expected_change=stored.change_sequence)
    other = new_product("q", random_embedding(rng))
    first, second, third = await asyncio.gather(
        catalogue.upsert(new),
        catalogue.upsert(new),
        catalogue.upsert(other),
        return_exceptions=True,
    )
    assert not isinstance(first, BaseException)
    assert isinstance(second, ProductChangedError)
    assert not isinstance(third, BaseException)
    assert (await catalogue.stats(CONTRACT.digest)).product_count == 2
    await catalogue.delete(["p"])
    with pytest.raises(ProductChangedError):
        await catalogue.upsert(new)
    assert await catalogue.changeable("p") is None
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
    assert catalogue.encoders.count_missing(CONTRACT.digest) == 1
    hits = (await catalogue.search(query_of(random_embedding(rng, Pattern.IMAGE)))).hits
    assert [hit.product.record.product_id for hit in hits] == ["ours"]
    await catalogue.use_encoder(other)
    assert (await catalogue.stats(other.digest)).indexed_vector_count == 1
    with pytest.raises(EncoderUnavailableError):
        await catalogue.search(query_of(random_embedding(rng, Pattern.IMAGE)))
    await catalogue.upsert(new_product("ours", small, other))
    assert catalogue.encoders.count_missing(other.digest) == 0
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
