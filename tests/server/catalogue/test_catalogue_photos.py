"""What every implementation of the catalogue promises of products with several photos."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

import numpy as np
import pytest

from tests.server.catalogue.conftest import OpenCatalogue
from tests.server.catalogue.products import CONTRACT, new_product, query_of, random_embedding
from tests.server.catalogue.test_catalogue import LEAST_RECALL, slow_scores
from twinshelf.server.catalogue.catalogue import Catalogue
from twinshelf.server.catalogue.product_filter import FieldIn
from twinshelf.server.catalogue.product_record import ProductRecord
from twinshelf.server.catalogue.ranking import Query
from twinshelf.server.encoders.embedding import OfferEmbedding
from twinshelf.server.encoders.modalities import Pattern


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A product of the tests: its embedding with each of its photos, and its seller."""

    embeddings: list[OfferEmbedding]
    seller: str


def best_scores(query: Query, products: dict[str, Shown]) -> dict[str, float]:
    """Scores by the definition, with the best photo of each product."""
    scores: dict[str, float] = {}
    for product_id, shown in products.items():
        found = [slow_scores(query, {"": each}).get("", -2.0) for each in shown.embeddings]
        if max(found) > -2:
            scores[product_id] = max(found)
    return scores


async def write(catalogue: Catalogue, product_id: str, shown: Shown) -> None:
    first, *further = shown.embeddings
    record = ProductRecord(product_id=product_id, seller=shown.seller)
    await catalogue.upsert(new_product(product_id, first, record=record, further=further))


def much_alike(offer: OfferEmbedding, rng: np.random.Generator) -> OfferEmbedding:
    """Another photo of the same thing: among equal ones a graph would have no way onwards."""
    assert offer.image is not None
    image = offer.image + rng.normal(0, 0.3 / np.sqrt(offer.image.size), offer.image.size)
    return OfferEmbedding(image=(image / np.linalg.norm(image)).astype(np.float32), text=None)


def random_shown(rng: np.random.Generator) -> Shown:
    pattern = Pattern(int(rng.choice([1, 2, 3], p=[0.2, 0.2, 0.6])))
    first = random_embedding(rng, pattern)
    further_count = int(rng.integers(0, 5)) if pattern.has_image else 0
    photos = [random_embedding(rng).image for _ in range(further_count)]
    further = [OfferEmbedding(image=photo, text=first.text) for photo in photos]
    return Shown(embeddings=[first, *further], seller=str(rng.choice(["a", "b", "c"])))


async def fill(catalogue: Catalogue, rng: np.random.Generator, count: int) -> dict[str, Shown]:
    """Writes products twice, the second time with other photos, and removes some."""
    await catalogue.use_encoder(CONTRACT)
    expected: dict[str, Shown] = {}
    for _ in range(2):
        for number in range(count):
            if f"p{number}" not in expected or rng.random() < 0.7:
                expected[f"p{number}"] = random_shown(rng)
        await asyncio.gather(*(write(catalogue, name, each) for name, each in expected.items()))
    gone = [f"p{number}" for number in range(0, count, 7)]
    await catalogue.delete(gone)
    return {name: each for name, each in expected.items() if name not in gone}


async def check(
    catalogue: Catalogue, expected: dict[str, Shown], rng: np.random.Generator, count: int
) -> float:
    """Returns the recall of the best products, searched with a filter and without."""
    found_count = wanted_count = 0
    for trial in range(24):
        pattern = Pattern(1 + trial % 3)
        seller = "abc"[trial % 3] if trial % 2 else ""
        condition = FieldIn(field="seller", values=frozenset([seller])) if seller else None
        allowed = {n: e for n, e in expected.items() if not seller or e.seller == seller}
        query = query_of(random_embedding(rng, pattern), count=count, condition=condition)
        scores = best_scores(query, allowed)
        hits = (await catalogue.search(query)).hits
        names = [hit.product.record.product_id for hit in hits]
        assert len(set(names)) == len(names) == min(count, len(scores))
        best = sorted(scores.values(), reverse=True)[:count]
        assert [hit.ranked.score for hit in hits][0] == pytest.approx(best[0], abs=2e-3)
        wanted_count += len(best)
        found_count += sum(
            hit.ranked.score >= best[-1] - 2e-3
            and hit.ranked.score == pytest.approx(scores[name], abs=2e-3)
            for hit, name in zip(hits, names, strict=True)
        )
    return found_count / wanted_count


@pytest.mark.slow
@pytest.mark.parametrize("count", [10, 250])
async def test_each_product_is_found_once_by_its_best_photo_and_after_a_restart(
    open_catalogue: OpenCatalogue, count: int
) -> None:
    rng = np.random.default_rng(21)
    catalogue = open_catalogue()
    expected = await fill(catalogue, rng, 300)
    assert await check(catalogue, expected, rng, count) >= LEAST_RECALL
    stats = await catalogue.stats(CONTRACT.digest)
    with_image = [each for each in expected.values() if each.embeddings[0].image is not None]
    assert stats.product_count == len(expected)
    assert stats.image_count == len(with_image)
    assert stats.photo_count == sum(len(each.embeddings) for each in with_image)
    assert stats.indexed_vector_count == sum(len(each.embeddings) for each in expected.values())
    await catalogue.snapshot()
    assert await check(catalogue, expected, rng, count) >= LEAST_RECALL
    await write(catalogue, "after the snapshot", expected.setdefault("x", random_shown(rng)))
    expected["after the snapshot"] = expected.pop("x")
    stats = await catalogue.stats(CONTRACT.digest)
    await catalogue.close()

    catalogue = open_catalogue()
    await catalogue.use_encoder(CONTRACT)
    assert await check(catalogue, expected, rng, count) >= LEAST_RECALL
    after = await catalogue.stats(CONTRACT.digest)
    # On Milvus changes are told some seconds after they were made.
    assert after.change_sequence >= stats.change_sequence
    assert replace(after, change_sequence=stats.change_sequence) == stats
    await catalogue.close()


@pytest.mark.slow
async def test_many_photos_of_a_few_products_leave_room_for_the_others(
    open_catalogue: OpenCatalogue,
) -> None:
    rng = np.random.default_rng(22)
    catalogue = open_catalogue()
    await catalogue.use_encoder(CONTRACT)
    offer = random_embedding(rng, Pattern.IMAGE)
    for number in range(300):
        is_near = number % 10 == 0
        photos = [random_embedding(rng, Pattern.IMAGE)]
        if is_near:
            photos = [much_alike(offer, rng) for _ in range(16)]
        await write(catalogue, f"p{number}", Shown(embeddings=photos, seller=""))
    hits = (await catalogue.search(query_of(offer, count=120))).hits
    assert len({hit.product.record.product_id for hit in hits}) == 120
    assert sum(hit.ranked.score > 0.9 for hit in hits) == 30
    await catalogue.close()


async def test_photos_change_only_with_the_vectors_and_go_with_the_product(
    open_catalogue: OpenCatalogue,
) -> None:
    rng = np.random.default_rng(23)
    catalogue = open_catalogue()
    await catalogue.use_encoder(CONTRACT)
    first, second, third = (random_embedding(rng) for _ in range(3))
    stored = await catalogue.upsert(new_product("p", first, further=[second]))
    assert stored.changes
    again = await catalogue.upsert(new_product("p", first, further=[second]))
    assert not again.changes
    other = await catalogue.upsert(new_product("p", first, further=[second, third]))
    assert other.changes
    changeable = await catalogue.changeable("p")
    assert changeable is not None
    (expected,) = new_product("", first, further=[second, third]).vectors
    np.testing.assert_array_equal(changeable.shown.further_images, expected.further_images)
    assert (await catalogue.stats(None)).photo_count == 3
    await catalogue.upsert(new_product("p", first))
    assert (await catalogue.stats(None)).photo_count == 1
    by_photo = query_of(OfferEmbedding(image=second.image, text=None))
    (hit,) = (await catalogue.search(by_photo)).hits
    assert hit.ranked.score < 0.9
    await catalogue.upsert(new_product("p", first, further=[second]))
    (hit,) = (await catalogue.search(by_photo)).hits
    assert hit.ranked.score == pytest.approx(1, abs=2e-3)
    await catalogue.delete(["p"])
    assert (await catalogue.stats(None)).photo_count == 0
    assert not (await catalogue.search(by_photo)).hits
    await catalogue.close()


async def test_a_thumbnail_stays_goes_and_is_replaced_as_the_product_says(
    open_catalogue: OpenCatalogue,
) -> None:
    catalogue = open_catalogue()
    product = new_product("p", random_embedding(np.random.default_rng(24)))

    async def write(thumbnail: bytes | None) -> bytes | None:
        await catalogue.upsert(replace(product, thumbnail=thumbnail))
        return await catalogue.thumbnail("p")

    assert await catalogue.thumbnail("p") is None
    assert await write(None) is None
    assert await write(b"first") == b"first"
    assert await write(b"second") == b"second"
    assert await write(None) == b"second"
    await catalogue.close()
    catalogue = open_catalogue()
    assert await catalogue.thumbnail("p") == b"second"
    assert await write(b"") is None
    assert await write(b"third") == b"third"
    await catalogue.delete(["p"])
    assert await catalogue.thumbnail("p") is None
    await catalogue.close()
