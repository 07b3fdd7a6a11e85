"""The vector index against a plain sort of inner products."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from twinshelf.server.catalogue.facets.facet_table import Facets, FacetTable
from twinshelf.server.catalogue.index.graph import IndexConfig
from twinshelf.server.catalogue.index.nearest import find_nearest
from twinshelf.server.catalogue.index.segment import Delta, Segment
from twinshelf.server.catalogue.index.vector_index import VectorIndex
from twinshelf.server.catalogue.product_filter import PriceBetween
from twinshelf.server.catalogue.product_record import (
    GREATEST_FURTHER_COUNT,
    PHOTO_BITS,
    VERSION_BITS,
    ProductRecord,
    VectorTable,
    photo_version,
    vector_keys,
)

GRAPH = IndexConfig(exact_limit=0, scanned_per_found=0)
BOTH_WAYS = pytest.mark.parametrize("config", [IndexConfig(), GRAPH], ids=["exact", "graph"])


def unit_rows(rng: np.random.Generator, count: int, dimension: int = 24) -> np.ndarray:
    rows = rng.normal(size=(count, dimension)).astype(np.float32)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)


def table(vectors: np.ndarray, first: int = 1, version: int = 1) -> VectorTable:
    count = len(vectors)
    return VectorTable(
        product_numbers=np.arange(first, first + count),
        vector_versions=np.full(count, version),
        checksums=np.zeros(count, dtype=np.int64),
        vectors=vectors,
    )


def keys(numbers: object, version: int = 1) -> np.ndarray:
    numbers = np.array(numbers, dtype=np.int64)
    return vector_keys(numbers, np.full(len(numbers), version))


def best(index: VectorIndex, query: np.ndarray, count: int, now: int = 10) -> list[int]:
    """Product numbers of the best by their exact scores, as the catalogue takes them."""
    query = query.astype(np.float32)
    (found,) = index.search(query[np.newaxis], count, now)
    scored = [
        (-float(score), int(number))
        for each in found
        for score, number in zip(
            each.vectors.astype(np.float32) @ query, each.product_numbers, strict=True
        )
    ]
    return [number for _, number in sorted(scored)[:count]]


@BOTH_WAYS
def test_the_nearest_are_found_in_segment_and_delta(config: IndexConfig) -> None:
    rng = np.random.default_rng(0)
    rows = unit_rows(rng, 700)
    index = VectorIndex(24, config)
    index.append(Segment(table(rows[:300]), None, config, is_stored=False))
    index.add(table(rows[300:500], first=301))
    index.add(table(rows[500:], first=501))
    assert len(index) == 700
    found_count = 0
    for query in unit_rows(rng, 50):
        expected = 1 + np.argsort(-(rows.astype(np.float32) @ query.astype(np.float32)))[:10]
        found_count += len(set(best(index, query, 10)) & set(expected.tolist()))
    # Neighbours whose inner products differ by less than bf16 can tell may change places.
    assert found_count >= 0.99 * 500


def test_fewer_vectors_than_asked_for_come_without_padding() -> None:
    rows = unit_rows(np.random.default_rng(1), 3)
    index = VectorIndex(24, GRAPH)
    assert best(index, rows[0], 5) == []
    index.add(table(rows))
    assert sorted(best(index, rows[0], 1000)) == [1, 2, 3]


@BOTH_WAYS
def test_retired_vectors_are_never_returned_however_thick_they_lie(
    config: IndexConfig,
) -> None:
    rng = np.random.default_rng(2)
    rows = unit_rows(rng, 300)
    query = rows[0].astype(np.float32)
    index = VectorIndex(24, config)
    index.append(Segment(table(rows[:150]), None, config, is_stored=False))
    index.add(table(rows[150:], first=151))
    nearest_first = 1 + np.argsort(-(rows.astype(np.float32) @ query))
    index.retire(keys(nearest_first[:280]), change=1)
    assert len(index) == 20
    assert set(best(index, query, 20)) == set(nearest_first[280:].tolist())
    index.retire(keys(nearest_first[280:]), change=2)
    assert best(index, query, 20) == []


def test_a_search_sees_what_lived_when_it_began() -> None:
    rows = unit_rows(np.random.default_rng(3), 2)
    index = VectorIndex(24, GRAPH)
    index.add(table(rows[:1]))
    index.add(table(rows[1:], version=2))
    index.retire(keys([1]), change=5)
    query = rows[:1].astype(np.float32)
    old, new = (index.search(query, 5, now)[0][0].vectors for now in (4, 5))
    assert len(old) == 2
    np.testing.assert_array_equal(new, rows[1:])


@BOTH_WAYS
def test_a_search_sees_the_last_vector_that_lived_when_it_began(config: IndexConfig) -> None:
    rows = unit_rows(np.random.default_rng(3), 1)
    index = VectorIndex(24, config)
    index.add(table(rows))
    index.retire(keys([1]), change=5)
    assert (len(index), index.is_empty) == (0, False)
    assert (best(index, rows[0], 5, now=4), best(index, rows[0], 5, now=5)) == ([1], [])
    (found,) = index.search_exactly(rows[0].astype(np.float32), 5, now=4)
    assert found.product_numbers.tolist() == [1]


def test_the_dead_stay_dead_though_as_many_are_added_as_a_search_begins() -> None:
    class Growing(Delta):
        """Learns of another vector just before it tells how many live."""

        @property
        def living_count(self) -> int:
            self.add(table(rows[2:], first=3))
            return super().living_count

    rows = unit_rows(np.random.default_rng(3), 3)
    delta = Growing(24, GRAPH)
    delta.add(table(rows[:2]))
    delta.dead_since[0], delta.dead_count = 1, 1
    (found,) = find_nearest(delta, rows[:1].astype(np.float32), 5, now=1)
    assert found.rows.tolist() == [1]


def test_merging_keeps_what_lives_and_what_died_meanwhile_stays_dead() -> None:
    rows = unit_rows(np.random.default_rng(4), 60)
    index = VectorIndex(24, GRAPH)
    index.add(table(rows[:40]))
    index.retire(keys([1, 2]), change=1)
    sealed = index.seal()
    chosen = index.choose_rows(sealed)
    index.add(table(rows[40:], first=41))
    index.retire(keys([3, 41]), change=2)
    merged = Segment(table(rows[2:40], first=3), None, GRAPH, is_stored=True)
    index.replace(sealed, chosen, merged)
    assert len(index) == 56
    assert set(best(index, rows[0], 60)) == {*range(4, 41), *range(42, 61)}
    assert not index.is_merged


def test_a_merge_is_due_when_dead_or_new_vectors_are_many() -> None:
    rows = unit_rows(np.random.default_rng(5), 100)
    config = IndexConfig(churn_share=0.3, churn_floor=10, merge_floor=150)
    index = VectorIndex(24, config)
    index.add(table(rows))
    index.retire(keys(range(1, 31)), change=1)
    assert not index.needs_merge
    index.retire(keys([31]), change=2)
    assert index.needs_merge
    index = VectorIndex(24, config)
    for first in (1, 101):
        assert not index.needs_merge
        index.add(table(rows, first=first))
    assert index.needs_merge


@pytest.mark.slow
def test_searches_of_many_threads_agree_while_vectors_are_added() -> None:
    rng = np.random.default_rng(6)
    rows = unit_rows(rng, 900)
    index = VectorIndex(24, GRAPH)
    index.add(table(rows[:300]))
    wrong: list[int] = []

    def look() -> None:
        for number in range(1, 301):
            if best(index, rows[number - 1], 1) != [number]:
                wrong.append(number)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for first in range(301, 901, 50):
        index.add(table(rows[first - 1 : first + 49], first=first))
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_vectors_that_are_not_finite_are_refused(bad: float) -> None:
    rows = unit_rows(np.random.default_rng(7), 2)
    rows[1, 7] = bad
    index = VectorIndex(24, GRAPH)
    with pytest.raises(ValueError, match="finite"):
        index.add(table(rows))
    assert len(index) == 0


def test_vectors_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must be \(N, 24\), got \(2, 23\)"):
        VectorIndex(24, GRAPH).add(table(np.zeros((2, 23), dtype=np.float16)))


def test_keys_tell_product_photo_and_version_and_stay_positive() -> None:
    for number in (1, 2**39 - 1):
        for photo in (0, GREATEST_FURTHER_COUNT):
            for version in (1, 2**VERSION_BITS - 1):
                (key,) = keys([number], photo_version(photo, version))
                assert key >> PHOTO_BITS + VERSION_BITS == number
                assert key >> VERSION_BITS & GREATEST_FURTHER_COUNT == photo
                assert key & 2**VERSION_BITS - 1 == version


def filtered_index(rng: np.random.Generator) -> tuple[VectorIndex, FacetTable, np.ndarray]:
    """Makes an index with a graph, of products whose price is their number."""
    rows = unit_rows(rng, 3000)
    index = VectorIndex(24, IndexConfig(exact_limit=100, scanned_per_found=1))
    index.add(table(rows))
    facets = FacetTable()
    facets.append(
        Facets.of(
            {n: ProductRecord(product_id=f"p{n}", price=float(n)) for n in range(1, len(rows) + 1)}
        )
    )
    return index, facets, rows


@pytest.mark.slow
@pytest.mark.parametrize(("greatest", "is_exact"), [(2900, False), (1500, False), (30, True)])
def test_a_wide_filter_is_searched_by_the_graph_and_a_narrow_one_exactly(
    greatest: int, is_exact: bool
) -> None:
    rng = np.random.default_rng(12)
    index, facets, rows = filtered_index(rng)
    allowed = facets.allow(PriceBetween(greatest=greatest))
    found_count = 0
    for query in unit_rows(rng, 40):
        query = query.astype(np.float32)
        ((found,),) = index.search(query[np.newaxis], 64, 10, allowed)
        assert found.is_exact == is_exact
        assert found.product_numbers.max() <= greatest
        expected = 1 + np.argsort(-(rows[:greatest].astype(np.float32) @ query))[:10]
        found_count += len(set(found.product_numbers.tolist()) & set(expected.tolist()))
    assert found_count >= 0.99 * 400


@pytest.mark.slow
def test_a_filter_that_the_graph_cannot_serve_is_searched_exactly() -> None:
    """All products near the query are forbidden, so that asking the graph for more is no help."""
    rng = np.random.default_rng(13)
    index, facets, rows = filtered_index(rng)
    query = rows[0].astype(np.float32)
    order = np.argsort(-(rows.astype(np.float32) @ query))
    far = np.sort(1 + order[1500:])
    allowed = facets.allow(None)
    allowed.mask[:-1] = np.isin(np.arange(1, 3001), far)
    ((found,),) = index.search(query[np.newaxis], 64, 10, allowed)
    assert found.is_exact
    assert set((1 + order[1500:1510]).tolist()) <= set(found.product_numbers.tolist())


@pytest.mark.slow
def test_a_filter_that_allows_nothing_finds_nothing() -> None:
    index, facets, rows = filtered_index(np.random.default_rng(14))
    (found,) = index.search(
        rows[:1].astype(np.float32), 64, 10, facets.allow(PriceBetween(least=1e9))
    )
    assert found == []
