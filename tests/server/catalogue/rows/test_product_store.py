"""The product store: rows come back as written, transactions hold, and lookups use the keys."""

from __future__ import annotations

import errno
import os
import resource
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

from tests.server.fake_encoder import digest_of
from twinshelf.server.catalogue.product_record import (
    VERSION_BITS,
    NewProduct,
    ProductRecord,
    ProductVector,
    VectorState,
)
from twinshelf.server.catalogue.rows import product_store, schema
from twinshelf.server.catalogue.rows.product_store import ProductStore
from twinshelf.server.encoders.modalities import Pattern
from twinshelf.server.errors import CatalogueDamagedError, CatalogueFullError

DIMENSION = 8


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ProductStore]:
    store = ProductStore(tmp_path / "catalogue.sqlite")
    yield store
    store.close()


def product(
    product_id: str, seed: int = 0, digest: str = "first", pattern: Pattern = Pattern.BOTH
) -> NewProduct:
    vector = np.random.default_rng(seed).normal(size=DIMENSION).astype(np.float16)
    record = ProductRecord(
        product_id=product_id, title="кружка\0", price=0.1, attributes={"b": "2", "a": "1"}
    )
    made = ProductVector(pattern=pattern, vector=vector, digest=digest_of(digest))
    return NewProduct(record=record, vectors=(made,))


def test_a_product_comes_back_as_it_was_written(store: ProductStore) -> None:
    new = product("p")
    with store.transaction():
        first = store.upsert(new)
        second = store.upsert(product("p", seed=1, pattern=Pattern.TEXT))
    assert (first.replaced, second.replaced) == (False, True)
    (begun,), (replaced,) = first.changes, second.changes
    both = VectorState(pattern=Pattern.BOTH, version=1, further_count=0)
    text = VectorState(pattern=Pattern.TEXT, version=2, further_count=0)
    assert (begun.old, begun.new) == (None, both)
    assert (replaced.old, replaced.new) == (both, text)
    stored = store.reader.product("p")
    assert stored is not None
    assert stored.record == new.record
    assert list(stored.record.attributes) == ["b", "a"]
    assert (stored.pattern, stored.digest) == (Pattern.TEXT, digest_of("first"))
    assert store.reader.product("q") is None


@pytest.mark.parametrize("price", [None, 7, -0.0, 1e300, 5e-324, -3.5])
def test_a_price_of_any_kind_is_read_without_a_complaint(
    store: ProductStore, price: float | None
) -> None:
    new = product("p")
    record = replace(new.record, price=price)
    with store.transaction():
        store.upsert(replace(new, record=record))
    stored = store.reader.product("p")
    assert stored is not None
    assert stored.record.price == price


def test_vectors_come_back_bit_by_bit(store: ProductStore) -> None:
    written = [product(f"p{i}", seed=i) for i in range(7)]
    other = [product("text", pattern=Pattern.TEXT), product("other", digest="second")]
    with store.transaction():
        for new in [*written, *other]:
            store.upsert(new)
    keys = store.reader.vectors.keys(digest_of("first"), Pattern.BOTH)
    assert len(keys.product_numbers) == 7
    numbers = np.array([*keys.product_numbers, 8, 9, 999])
    table = store.reader.vectors.table(numbers, digest_of("first"), Pattern.BOTH, DIMENSION)
    np.testing.assert_array_equal(table.vectors, [new.vectors[0].vector for new in written])
    for column in ("product_numbers", "vector_versions", "checksums"):
        np.testing.assert_array_equal(getattr(table, column), getattr(keys, column))
    assert store.reader.counts() == {
        (digest_of("first"), Pattern.BOTH): 7,
        (digest_of("first"), Pattern.TEXT): 1,
        (digest_of("second"), Pattern.BOTH): 1,
    }


def test_lookups_by_number_leave_out_the_missing(store: ProductStore) -> None:
    with store.transaction():
        first = store.upsert(product("a", seed=1)).product_number
        second = store.upsert(product("b", digest="second")).product_number
    patterns = dict.fromkeys([second, 999, first], Pattern.BOTH)
    found = store.reader.products_by_number(patterns, digest_of("first"))
    assert {n: p.record.product_id for n, p in found.items()} == {first: "a", second: "b"}


def test_lookups_by_number_do_not_go_through_the_catalogue(
    store: ProductStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = store.reader._reader
    with store.transaction():
        store.upsert(product("p"))
    statements: list[str] = []
    reader.set_trace_callback(statements.append)
    store.reader.vectors.table(np.array([1]), digest_of("first"), Pattern.BOTH, DIMENSION)
    store.reader.products_by_number({1: Pattern.BOTH}, digest_of("first"))
    reader.set_trace_callback(None)
    assert len(statements) == 2
    for statement in statements:
        plan = [row[3] for row in reader.execute(f"EXPLAIN QUERY PLAN {statement}")]
        assert not [step for step in plan if "product_vectors_by_encoder" in step]
        assert not [step for step in plan if step.startswith(("SCAN p", "SCAN v"))]


def test_a_transaction_that_fails_leaves_nothing(store: ProductStore) -> None:
    with pytest.raises(KeyError), store.transaction():
        store.upsert(product("p"))
        raise KeyError
    assert store.reader.product("p") is None
    assert store.reader.change_sequence() == 0
    with store.transaction():
        store.upsert(product("p"))
    assert store.reader.change_sequence() == 1


def test_numbers_are_never_given_to_another_product(store: ProductStore) -> None:
    with store.transaction():
        old = store.upsert(product("a")).product_number
        store.delete(["a"])
        new = store.upsert(product("a")).product_number
    assert new > old


def test_versions_begin_anew_before_they_reach_the_bits_of_the_photo(store: ProductStore) -> None:
    with store.transaction() as writer:
        store.upsert(product("p"))
        writer.execute("UPDATE product_vectors SET vector_version = ?", (2**VERSION_BITS - 1,))
        for seed, version in ((1, 0), (2, 1)):
            (change,) = store.upsert(product("p", seed=seed)).changes
            assert change.new is not None
            assert change.new.version == version


def test_the_log_gives_back_what_it_took_of_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit_bytes = 1 << 20
    monkeypatch.setattr(schema, "_LOG_LIMIT_BYTES", limit_bytes)
    store = ProductStore(tmp_path / "catalogue.sqlite")
    log = tmp_path / "catalogue.sqlite-wal"
    new = product("p")
    with store.transaction():
        store.upsert(replace(new, record=replace(new.record, description="x" * 8 * limit_bytes)))
    assert log.stat().st_size > 8 * limit_bytes
    with store.transaction():
        store.upsert(product("q"))
    assert log.stat().st_size <= limit_bytes
    store.close()


def test_a_full_disk_has_room_to_open_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserve = tmp_path / "reserve"

    def open_full(path: Path) -> sqlite3.Connection:
        if reserve.exists():
            raise sqlite3.OperationalError("disk I/O error")
        return schema.open_writer(path)

    ProductStore(tmp_path / "catalogue.sqlite").close()
    assert reserve.exists()
    monkeypatch.setattr(product_store, "open_writer", open_full)
    ProductStore(tmp_path / "catalogue.sqlite").close()
    assert reserve.exists()


def test_readers_cannot_write(store: ProductStore) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        store.reader._reader.execute("DELETE FROM products")


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (errno.EDQUOT, CatalogueFullError),
        (errno.ENOSPC, CatalogueFullError),
        (errno.EIO, CatalogueDamagedError),
        (None, CatalogueDamagedError),
    ],
)
def test_a_full_quota_is_told_from_a_damaged_disk(
    store: ProductStore, monkeypatch: pytest.MonkeyPatch, found: int | None, told: type[Exception]
) -> None:
    error = None if found is None else OSError(found, os.strerror(found))
    monkeypatch.setattr("os.posix_fallocate", Mock(side_effect=error))
    with store.transaction():
        store.upsert(product("p"))
    # To SQLite any limit but the end of the disk is a write that failed.
    size_bytes = Path(f"{store.path}-wal").stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, limits[1]))
    try:
        with pytest.raises(told), store.transaction():
            for number in range(200):
                store.upsert(product(f"p{number}"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    with store.transaction():
        store.upsert(product("q"))
    assert store.reader.product("q") is not None


def test_an_error_of_python_itself_is_told_as_damage(store: ProductStore) -> None:
    with pytest.raises(CatalogueDamagedError, match="no such thing"), store.transaction():
        raise sqlite3.DatabaseError("no such thing")
    with store.transaction():
        store.upsert(product("p"))
