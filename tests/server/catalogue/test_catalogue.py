"""The catalogue against brute force over a plain dictionary."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from server.catalogue.catalogue import Catalogue
from server.catalogue.product_record import NewProduct, ProductRecord
from server.catalogue.ranking import Query
from server.catalogue.schema import CatalogueFileError
from server.catalogue.vector_index import IndexSettings
from server.encoders.contract import EncoderContract
from server.encoders.embedding import OfferEmbedding, stored_vector
from server.encoders.modalities import Pattern, Weights
from server.errors import EncoderUnavailableError, ServerStoppingError
from tests.server.fake_encoder import make_contract

CONTRACT = make_contract()
# The graph is searched, not the vectors one by one, and it is built anew often.
GRAPH = IndexSettings(exact_limit=0, churn_share=0.1, churn_floor=20)
EXACT = IndexSettings()
BOTH = CONTRACT.weights


def random_embedding(rng: np.random.Generator, pattern: Pattern) -> OfferEmbedding:
    rows = rng.normal(size=(2, 16)).astype(np.float32)
    image, text = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return OfferEmbedding(
        image=image if pattern.has_image else None, text=text if pattern.has_text else None
    )


def new_product(
    product_id: str, embedding: OfferEmbedding, contract: EncoderContract = CONTRACT
) -> NewProduct:
    return NewProduct(
        record=ProductRecord(product_id=product_id, title=f"title of {product_id}"),
        pattern=embedding.pattern,
        vector=stored_vector(embedding, contract),
        digest=contract.digest,
    )


def query_of(embedding: OfferEmbedding, count: int = 10, weights: Weights = BOTH) -> Query:
    return Query(
        embedding=embedding,
        weights=weights.restricted_to(embedding.pattern),
        match_count=count,
        min_probability=0,
        contract=CONTRACT,
    )


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


@pytest.mark.parametrize("settings", [EXACT, GRAPH], ids=["exact", "graph"])
async def test_search_agrees_with_brute_force_and_survives_a_restart(
    tmp_path: Path, settings: IndexSettings
) -> None:
    rng = np.random.default_rng(42)
    catalogue = Catalogue(tmp_path, reader_count=2, settings=settings)
    expected = await fill(catalogue, rng, 400)
    least = 1.0 if settings is EXACT else 0.99
    assert await check_against_brute_force(catalogue, expected, rng) >= least
    stats = await catalogue.stats(CONTRACT.digest)
    assert stats.product_count == stats.indexed_vector_count == len(expected)
    assert stats.image_count == sum(e.image is not None for e in expected.values())
    assert stats.text_count == sum(e.text is not None for e in expected.values())
    await catalogue.close()

    catalogue = Catalogue(tmp_path, reader_count=2, settings=settings)
    await catalogue.use_encoder(CONTRACT)
    assert await check_against_brute_force(catalogue, expected, rng) >= least
    again = await catalogue.stats(CONTRACT.digest)
    assert again == stats
    await catalogue.close()


async def test_a_product_replaced_a_thousand_times_hides_no_other(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    catalogue = Catalogue(
        tmp_path, reader_count=1, settings=IndexSettings(exact_limit=0, churn_floor=100_000)
    )
    await catalogue.use_encoder(CONTRACT)
    near = random_embedding(rng, Pattern.BOTH)
    assert near.image is not None
    for number in range(20):
        await catalogue.upsert(new_product(f"p{number}", random_embedding(rng, Pattern.BOTH)))
    writes = []
    for _ in range(1000):
        image = near.image + 1e-2 * rng.normal(size=16).astype(np.float32)
        moved = OfferEmbedding(image=image / np.linalg.norm(image), text=near.text)
        writes.append(catalogue.upsert(new_product("busy", moved)))
    await asyncio.gather(*writes)
    hits = (await catalogue.search(query_of(near, count=21))).hits
    assert len(hits) == 21
    assert hits[0].product.record.product_id == "busy"
    assert (await catalogue.stats(CONTRACT.digest)).indexed_vector_count == 21
    await catalogue.close()


async def test_writing_the_same_again_does_not_churn_the_index(tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path, reader_count=1)
    await catalogue.use_encoder(CONTRACT)
    embedding = random_embedding(np.random.default_rng(1), Pattern.BOTH)
    first = await catalogue.upsert(new_product("p", embedding))
    again = await catalogue.upsert(new_product("p", embedding))
    assert first.vector_changed
    assert again.replaced
    assert not again.vector_changed
    assert (await catalogue.stats(None)).change_sequence == 2
    await catalogue.close()


async def test_a_product_never_vanishes_while_it_is_replaced(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    catalogue = Catalogue(tmp_path, reader_count=2)
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
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(5)
    other = make_contract("other", 2, image_dim=8, embedding_dim=24)
    row = rng.normal(size=8).astype(np.float32)
    small = OfferEmbedding(image=row / np.linalg.norm(row), text=None)
    catalogue = Catalogue(tmp_path, reader_count=1)
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


async def test_a_second_process_is_kept_out(tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path, reader_count=1)
    with pytest.raises(CatalogueFileError, match="another process"):
        Catalogue(tmp_path, reader_count=1)
    await catalogue.close()
    await Catalogue(tmp_path, reader_count=1).close()


async def test_a_closed_catalogue_takes_no_writes(tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path, reader_count=1)
    await catalogue.close()
    with pytest.raises(ServerStoppingError):
        await catalogue.delete(["p"])


@pytest.mark.parametrize(
    ("statements", "sentence"),
    [
        ("CREATE TABLE foreign_table (x);", "another program"),
        (
            "CREATE TABLE t (x); PRAGMA application_id = 1953985388; PRAGMA user_version = 99;",
            "schema version 99",
        ),
    ],
)
def test_files_that_are_no_catalogue_of_ours_are_refused(
    tmp_path: Path, statements: str, sentence: str
) -> None:
    connection = sqlite3.connect(tmp_path / "catalogue.sqlite")
    connection.executescript(statements)
    connection.close()
    with pytest.raises(CatalogueFileError, match=sentence):
        Catalogue(tmp_path, reader_count=1)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "catalogue.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(CatalogueFileError, match="cannot be read"):
        Catalogue(tmp_path, reader_count=1)


def test_vectors_that_are_not_finite_are_refused() -> None:
    vector = np.full(32, np.nan, dtype=np.float16)
    with pytest.raises(ValueError, match="finite"):
        NewProduct(
            record=ProductRecord(product_id="p"), pattern=Pattern.BOTH, vector=vector, digest="x"
        )
