"""The vector index against a plain sort of inner products."""

from __future__ import annotations

import numpy as np
import pytest

from server.catalogue.vector_index import VERSION_BITS, IndexSettings, VectorIndex, vector_key

GRAPH = IndexSettings(exact_limit=0)


def unit_rows(rng: np.random.Generator, count: int, dimension: int = 24) -> np.ndarray:
    rows = rng.normal(size=(count, dimension)).astype(np.float32)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)


def keys_of(count: int, version: int = 1) -> np.ndarray:
    return np.array([vector_key(number, version) for number in range(1, count + 1)])


@pytest.mark.parametrize("settings", [IndexSettings(), GRAPH], ids=["exact", "graph"])
def test_the_nearest_are_found_best_first(settings: IndexSettings) -> None:
    rng = np.random.default_rng(0)
    rows = unit_rows(rng, 700)
    index = VectorIndex(24, settings)
    index.add(keys_of(500), rows[:500])
    index.add(keys_of(700)[500:], rows[500:])
    found_count = 0
    for query in unit_rows(rng, 50).astype(np.float32):
        expected = 1 + np.argsort(-(rows.astype(np.float32) @ query))[:10]
        got = index.search(query, 10)
        assert len(got) == 10
        assert got[0] == expected[0]
        found_count += len(set(got) & set(expected))
    # Neighbours whose inner products differ by less than fp16 can tell may change places.
    assert found_count >= 0.99 * 500


def test_fewer_vectors_than_asked_for_come_without_padding() -> None:
    rows = unit_rows(np.random.default_rng(1), 3)
    index = VectorIndex(24, GRAPH)
    assert len(index.search(rows[0].astype(np.float32), 5)) == 0
    index.add(keys_of(3), rows)
    assert sorted(index.search(rows[0].astype(np.float32), 1000)) == [1, 2, 3]


@pytest.mark.parametrize("settings", [IndexSettings(), GRAPH], ids=["exact", "graph"])
def test_retired_vectors_are_never_returned(settings: IndexSettings) -> None:
    rng = np.random.default_rng(2)
    rows = unit_rows(rng, 300)
    query = rows[0].astype(np.float32)
    index = VectorIndex(24, settings)
    index.add(keys_of(300), rows)
    nearest_first = 1 + np.argsort(-(rows.astype(np.float32) @ query))
    for number in nearest_first[:280]:
        index.retire(vector_key(int(number), 1))
    assert len(index) == 20
    assert set(index.search(query, 20)) == set(nearest_first[280:])
    for number in nearest_first[280:]:
        index.retire(vector_key(int(number), 1))
    assert len(index.search(query, 20)) == 0


def test_a_new_version_takes_the_place_of_the_old() -> None:
    old, new = unit_rows(np.random.default_rng(3), 2)
    index = VectorIndex(24, GRAPH)
    index.add(keys_of(1, version=1), old[np.newaxis])
    index.add(keys_of(1, version=2), new[np.newaxis])
    index.retire(vector_key(1, 1))
    assert list(index.search(old.astype(np.float32), 5)) == [1]
    assert len(index) == 1


def test_a_rebuild_is_due_when_tombstones_are_many_and_a_large_share() -> None:
    rows = unit_rows(np.random.default_rng(4), 100)
    index = VectorIndex(24, IndexSettings(churn_share=0.3, churn_floor=10))
    index.add(keys_of(100), rows)
    for number in range(1, 31):
        index.retire(vector_key(number, 1))
    assert not index.needs_rebuild
    index.retire(vector_key(31, 1))
    assert index.needs_rebuild


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_vectors_that_are_not_finite_are_refused(bad: float) -> None:
    rows = unit_rows(np.random.default_rng(5), 2)
    rows[1, 7] = bad
    index = VectorIndex(24, GRAPH)
    with pytest.raises(ValueError, match="finite"):
        index.add(keys_of(2), rows)
    assert len(index) == 0


def test_vectors_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must be \(2, 24\), got \(2, 23\)"):
        VectorIndex(24, GRAPH).add(keys_of(2), np.zeros((2, 23), dtype=np.float16))


def test_keys_tell_the_product_and_stay_positive() -> None:
    for number in (1, 2**39 - 1):
        for version in (1, 2**VERSION_BITS - 1, 2**VERSION_BITS):
            key = vector_key(number, version)
            assert key >> VERSION_BITS == number
            assert 0 < key < 2**63
