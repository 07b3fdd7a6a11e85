"""The writer of one matching server: batches of products, and changes of the state."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import chain

from twinshelf.server.catalogue.milvus.claims import Claims
from twinshelf.server.catalogue.milvus.collections import Collections
from twinshelf.server.catalogue.milvus.connection import MilvusConnection
from twinshelf.server.catalogue.milvus.counts import Counts
from twinshelf.server.catalogue.milvus.product_rows import (
    MadeVectors,
    ProductRow,
    mark_of,
    product_key,
    state_row,
    vector_keys,
)
from twinshelf.server.catalogue.milvus.state import CatalogueState
from twinshelf.server.catalogue.milvus.stored import StoredRows
from twinshelf.server.catalogue.milvus.write_batch import (
    LONGEST_STEP_S,
    LONGEST_WRITE_S,
    WriteBatch,
)
from twinshelf.server.catalogue.milvus.write_parts import (
    Piece,
    parts_of,
    product_ids,
    vectors,
)
from twinshelf.server.catalogue.product_record import NewProduct, NewVector, ProductVector
from twinshelf.server.catalogue.write_item import Deletion, Task, WriteItem
from twinshelf.server.errors import (
    CatalogueUnavailableError,
    EncoderChangedError,
    ProductChangedError,
)


class MilvusWriter:
    """Writes in one thread; other servers write beside it."""

    def __init__(
        self,
        connection: MilvusConnection,
        collections: Collections,
        stored: StoredRows,
        counts: Counts,
    ) -> None:
        """Takes the parts."""
        self._connection = connection
        self._collections = collections
        self._stored = stored
        self._counts = counts
        self._claims = Claims(connection, collections, LONGEST_WRITE_S)

    def write(self, items: Sequence[WriteItem]) -> list[object]:
        """Writes a batch; returns a result for each item, or the error with which it failed."""
        results: list[object] = [None] * len(items)
        parts = list(parts_of(items))
        for number, part in enumerate(parts):
            try:
                self._store(part, results)
            except CatalogueUnavailableError as error:
                # What was written in part counts as it stands; who repeats it does no harm.
                for piece in chain.from_iterable(parts[number:]):
                    results[piece.place] = error
                break
        for place, item in enumerate(items):
            if isinstance(item, Task):
                results[place] = item.result()
        return results

    def change_state(self, change: Callable[[CatalogueState], CatalogueState]) -> CatalogueState:
        """Changes the state of the catalogue, from how it stands; returns the new one.

        To be called in the thread of the writer. Two servers that change it in the same moment do
        not see each other: then the later one holds.
        """
        before = self._stored.read_state("Strong")
        state = change(before)
        if state != before:
            self._write_state(state)
        return state

    def _store(self, part: Sequence[Piece], results: list[object]) -> None:
        """Writes a part; notes the result of each piece, or the error with which it failed."""
        added = [piece.item for piece in part if isinstance(piece.item, NewVector)]
        # Now, for it takes longer than what is claimed may take to be read.
        self._make_vectors(added, self._stored.state)
        with self._claims.held([product_key(item.product_id) for item in added]):
            before, written = self._store_unguarded(part, results)
        for undone in self._claims.guard(before, written):
            row = written[undone.key]
            written[undone.key] = self._write_again(row, undone, before[undone.key])

    def _write_again(self, row: ProductRow, undone: ProductRow, before: ProductRow) -> ProductRow:
        """Puts a row in the place of the one that undid it; returns it, with its new change.

        Args:
            row: The row as it was written.
            undone: The one from before, with vectors added to it, which are removed.
            before: The one from before.
        """
        products = self._collections.products
        (timestamp,) = self._connection.timestamps()
        again = replace(row, change=timestamp)
        self._connection.upsert(products, [again.to_row()], timeout_s=LONGEST_STEP_S)
        self._connection.wait_until_seen(products)
        for made_number, made in undone.vectors.items():
            if made not in (row.vectors.get(made_number), before.vectors.get(made_number)):
                keys = vector_keys(undone.number, made.version, 1 + made.further_count)
                self._connection.delete(self._collections.vectors(made_number), keys)
        return again

    def _store_unguarded(
        self, part: Sequence[Piece], results: list[object]
    ) -> tuple[Mapping[str, ProductRow], dict[str, ProductRow]]:
        """Stores a part; returns the rows before it, and those of the products that it wrote."""
        items = [piece.item for piece in part]
        ids = [product_id for item in items for product_id in product_ids(item)]
        keys = list(dict.fromkeys(map(product_key, ids)))
        rows, before = self._stored.rows_and_state(keys, "Strong")
        self._make_vectors(items, before)
        if any(isinstance(item, NewProduct) and item.thumbnail for item in items):
            self._collections.make_thumbnails()
        others = self._others(items, rows, before)
        lost = self._find_lost(items, rows, before)
        # Making a collection takes seconds, and timestamps must be young when they are written.
        begun_s = time.monotonic()
        self._claims.check_read()
        batch = WriteBatch(
            self._connection,
            self._collections,
            before,
            rows,
            others,
            lost,
            self._connection.timestamps(len(ids)),
            begun_s,
        )
        answers = [self._add(batch, item) for item in items]
        if batch.state != before:
            self._write_state(batch.state)
        batch.commit()
        self._counts.learn(list(zip(items, answers, strict=True)))
        for piece, answer in zip(part, answers, strict=True):
            results[piece.place] = answer
        whole = [item for item in items if not isinstance(item, NewVector)]
        return rows, batch.written(each for item in whole for each in product_ids(item))

    def _make_vectors(
        self, items: Sequence[NewProduct | NewVector | Deletion], state: CatalogueState
    ) -> None:
        """Makes the collections that vectors of the items go to, where they are not there yet."""
        for made in (made for item in items for made in vectors(item)):
            self._collections.make_vectors(state.made_number(made.digest), len(made.vector))

    def _others(
        self,
        items: Sequence[NewProduct | NewVector | Deletion],
        rows: Mapping[str, ProductRow],
        state: CatalogueState,
    ) -> dict[tuple[int, int], ProductVector]:
        """Reads vectors that stay, but are written anew since the facets of their product change.

        All at once: a read of each would take longer than the writes of a part may.
        """
        wanted: dict[int, dict[int, MadeVectors]] = defaultdict(dict)
        for item in items:
            if not isinstance(item, NewProduct) or not item.keeps_others:
                continue
            row = rows.get(product_key(item.record.product_id))
            if row is None or replace(row, record=item.record).facets == row.facets:
                continue
            renewed = {state.made_number(vector.digest) for vector in item.vectors}
            for made_number in row.vectors.keys() & state.digests.keys() - renewed:
                wanted[made_number][row.number] = row.vectors[made_number]
        return {
            (made_number, number): vector
            for made_number, made in wanted.items()
            for number, vector in self._stored.vectors(
                state.digests[made_number], made_number, made, "Strong"
            ).items()
        }

    def _find_lost(
        self,
        items: Sequence[NewProduct | NewVector | Deletion],
        rows: Mapping[str, ProductRow],
        state: CatalogueState,
    ) -> frozenset[tuple[int, int]]:
        """Finds vectors that are not there, of those that would stay as they are.

        Where two servers wrote one product in the same moment, its row may name vectors that the
        other one has removed. Written again, they come back.
        """
        kept: dict[str, dict[int, MadeVectors]] = defaultdict(dict)
        for item in items:
            if not isinstance(item, NewProduct):
                continue
            row = rows.get(product_key(item.record.product_id))
            if row is None or replace(row, record=item.record).facets != row.facets:
                continue
            for vector in item.vectors:
                made = row.vectors.get(state.made_number(vector.digest))
                if made is not None and made.mark == mark_of(vector):
                    kept[vector.digest][row.number] = made
        lost = set()
        for digest, made_vectors in kept.items():
            made_number = state.made_number(digest)
            found = self._stored.vectors(digest, made_number, made_vectors)
            lost |= {(made_number, number) for number in made_vectors.keys() - found.keys()}
        return frozenset(lost)

    def _add(self, batch: WriteBatch, item: NewProduct | NewVector | Deletion) -> object:
        try:
            match item:
                case NewProduct():
                    return batch.upsert(item)
                case NewVector():
                    return batch.add_vector(item)
                case Deletion():
                    return batch.delete(item.product_ids)
        except (ProductChangedError, EncoderChangedError) as error:
            return error  # the others of the batch are written

    def _write_state(self, state: CatalogueState) -> None:
        products = self._collections.products
        self._connection.upsert(products, [state_row(state)])
        self._connection.wait_until_seen(products)
        self._stored.state = state
