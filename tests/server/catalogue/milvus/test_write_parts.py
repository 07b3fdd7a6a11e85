"""Parts of a batch hold everything once, in order, and none takes long."""

from __future__ import annotations

from itertools import chain

import numpy as np

from tests.server.catalogue.products import new_product, random_embedding
from twinshelf.server.catalogue.milvus.connection import messages_of
from twinshelf.server.catalogue.milvus.write_parts import (
    PART_LIMIT,
    parts_of,
    product_ids,
)
from twinshelf.server.catalogue.product_record import ProductRecord
from twinshelf.server.catalogue.write_item import Deletion, Task, WriteItem

EMBEDDING = random_embedding(np.random.default_rng(0))


def test_parts_are_the_batch_in_its_order() -> None:
    ids = [f"d{number}" for number in range(PART_LIMIT)]
    long = ProductRecord(product_id="long", description="ы" * (3 << 20))
    items: list[WriteItem] = [
        new_product("first", EMBEDDING),
        Deletion(product_ids=tuple(ids)),
        Task(function=list),
        Deletion(product_ids=("one",)),
        *(new_product("", EMBEDDING, record=long) for _ in range(3)),
        new_product("last", EMBEDDING),
    ]
    parts = list(parts_of(items))
    pieces = list(chain.from_iterable(parts))
    written = [product_id for piece in pieces for product_id in product_ids(piece.item)]
    assert written == ["first", *ids, "one", "long", "long", "long", "last"]
    counts = [sum(len(product_ids(piece.item)) for piece in part) for part in parts]
    assert counts == [1, PART_LIMIT, 1 + 1, 1, 1 + 1]
    assert [piece.place for piece in pieces] == [0, 1, 3, 4, 5, 6, 7]


def test_rows_are_sent_in_messages_that_fit() -> None:
    vector = np.zeros(512, dtype=np.float16)
    rows = [
        {"key": str(number), "facets": [1] * 4096, "body": ["ы" * 30_000] * 5, "vector": vector}
        for number in range(100)
    ]
    rows.insert(50, {"key": "large", "body": ["x" * 60_000] * 200})
    messages = list(messages_of(rows))
    assert list(chain.from_iterable(messages)) == rows
    assert max(map(len, messages)) == (8 << 20) // (5 * 60_000 + 4096 * 10 + 1024)
    assert [rows[50]] in messages
    assert list(messages_of([])) == []
