"""One batch of writes on its way to Milvus: what each means, and the order of the steps.

Milvus knows no transactions. The order makes up for them: vectors of new versions first, then the
rows of the products, which name the versions that count, then the end of the old ones. Whoever is
interrupted leaves vectors that no product names, and searches pass over those.
"""

from __future__ import annotations

import base64
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from typing import Final

from twinshelf.server.catalogue.milvus.collections import ANCHOR, NO_ANCHOR, Collections
from twinshelf.server.catalogue.milvus.connection import MilvusConnection, Row, messages_of
from twinshelf.server.catalogue.milvus.product_rows import (
    MadeVectors,
    ProductRow,
    chunks_of,
    made_vector,
    mark_of,
    product_key,
    vector_keys,
)
from twinshelf.server.catalogue.milvus.state import CatalogueState
from twinshelf.server.catalogue.product_record import (
    Deleted,
    NewProduct,
    NewVector,
    ProductRecord,
    ProductVector,
    Stored,
    VectorChange,
)
from twinshelf.server.errors import CatalogueUnavailableError, ProductChangedError

# The change of a product bears the time when its batch began. So long after it the row may be sent
# at last, and Milvus has so long to answer.
LONGEST_STEP_S: Final = 2.0
# A call that finds no Milvus is tried again until its time is over. The last try may begin after a
# pause (pymilvus: .01 s, and three times as long each time, so 2.43 s at most within two), and has
# all of its time again.
_LONGEST_PAUSE_S: Final = 2.43
# Age of a change when it is written, at most. Those who watch changes wait for a little longer, so
# that none comes behind one that they know; see `ChangeWindow`.
LONGEST_WRITE_S: Final = LONGEST_STEP_S + LONGEST_STEP_S + _LONGEST_PAUSE_S + LONGEST_STEP_S


class WriteBatch:
    """Gathers writes, and then makes them. Belongs to one thread.

    Attributes:
        state: The state of the catalogue, with the encoders that the batch made known.
    """

    def __init__(
        self,
        connection: MilvusConnection,
        collections: Collections,
        state: CatalogueState,
        rows: Mapping[str, ProductRow],
        others: Mapping[tuple[int, int], ProductVector],
        lost: Set[tuple[int, int]],
        timestamps: Sequence[int],
        begun_s: float,
    ) -> None:
        """Begins a batch.

        Args:
            connection: Writes.
            collections: Names and makes collections.
            state: The state of the catalogue.
            rows: The rows of all products that are written, as they stand now, by key.
            others: Vectors that are there and may be written anew, by `made_number` and the number
                of their product.
            lost: The same of vectors that rows name, and that are not there.
            timestamps: As many as there are writes and deletions of single products.
            begun_s: When the first of them was asked for, by `time.monotonic`.
        """
        self.state = state
        self._connection = connection
        self._collections = collections
        self._others = others
        self._lost = lost
        self._digests = state.digests
        self._rows = dict(rows)
        self._begun_s = begun_s
        self._timestamps = iter(timestamps)
        self._changed: set[str] = set()
        # Of each encoder: rows of vectors by their keys.
        self._added: dict[int, dict[str, Row]] = defaultdict(dict)
        self._ended: dict[int, list[str]] = defaultdict(list)
        self._thumbnails: dict[str, bytes] = {}

    def upsert(self, product: NewProduct) -> Stored:
        """Puts a product in the place of the one of the same id.

        Raises:
            EncoderChangedError: If it lacks the vector of the encoder that serves by now.
            ProductChangedError: If another change wrote it last than the one expected.
        """
        encoders, vectors = self.state.encoders, product.vectors
        if not product.keeps_others:
            vectors = encoders.choose(vectors)
        key = product_key(product.record.product_id)
        old = self._live(key)
        if product.expected_change not in (None, old and old.change):
            raise _changed(product.record.product_id)
        timestamp = next(self._timestamps)
        row = ProductRow(
            number=timestamp if old is None else old.number,
            change=timestamp,
            record=_without_negative_zero(product.record),
            update_time_us=time.time_ns() // 1000,
            vectors={} if old is None else old.vectors,
        )
        if product.thumbnail is not None:
            self._thumbnails[key] = product.thumbnail
        changes = self._replace(row, old, vectors, timestamp, keeps_others=product.keeps_others)
        return Stored(product_number=row.number, replaced=old is not None, changes=changes)

    def add_vector(self, vector: NewVector) -> Stored:
        """Adds what one more encoder made of a product.

        Raises:
            EncoderChangedError: If the vectors of its encoder are no longer kept.
            ProductChangedError: If the product was changed or removed meanwhile.
        """
        self.state.encoders.check_kept(vector.made.digest)
        old = self._live(product_key(vector.product_id))
        if old is None or old.change != vector.expected_change:
            raise _changed(vector.product_id)
        timestamp = next(self._timestamps)
        changes = self._replace(old, old, (vector.made,), timestamp, keeps_others=True)
        return Stored(product_number=old.number, replaced=True, changes=changes)

    def delete(self, product_ids: Sequence[str]) -> Deleted:
        """Puts a note of its deletion in the place of each product."""
        removed: list[int] = []
        missing: list[str] = []
        changes: list[VectorChange] = []
        for product_id in dict.fromkeys(product_ids):
            timestamp = next(self._timestamps)
            key = product_key(product_id)
            old = self._live(key)
            # Also where it is gone: the deletion may have been cut off before this.
            self._thumbnails[key] = b""
            if old is None:
                missing.append(product_id)
                continue
            for made_number, made in old.vectors.items():
                self._end(old.number, made_number, made)
                changes += self._change(old.number, made_number, made, None)
            removed.append(old.number)
            self._put(
                ProductRow(
                    number=old.number,
                    change=timestamp,
                    record=ProductRecord(product_id=product_id),
                    is_deletion=True,
                )
            )
        return Deleted(removed=tuple(removed), changes=tuple(changes), missing=tuple(missing))

    def written(self, product_ids: Iterable[str]) -> dict[str, ProductRow]:
        """Returns the rows, by key, that the batch writes of some products."""
        keys = self._changed & {product_key(product_id) for product_id in product_ids}
        return {key: self._rows[key] for key in keys}

    def vector_rows(self) -> dict[int, list[Row]]:
        """Returns the rows of vectors that the batch adds, by what stands for their encoder."""
        return {number: list(rows.values()) for number, rows in self._added.items() if rows}

    def product_rows(self) -> list[Row]:
        """Returns the rows that the batch puts in the place of those of their products."""
        return [self._rows[key].to_row() for key in self._changed]

    def thumbnail_rows(self) -> list[Row]:
        """Returns the rows of the thumbnails that the batch writes."""
        texts = {k: base64.b64encode(jpeg).decode() for k, jpeg in self._thumbnails.items() if jpeg}
        return [{"key": k, "jpeg": chunks_of(text), ANCHOR: NO_ANCHOR} for k, text in texts.items()]

    def commit(self) -> None:
        """Makes the writes, and waits until every search of this server sees them."""
        call = self._connection
        for made_number, added in self.vector_rows().items():
            call.upsert(self._collections.vectors(made_number), added)
        for message in messages_of(self.product_rows()):
            if time.monotonic() - self._begun_s > LONGEST_STEP_S:
                raise CatalogueUnavailableError("Milvus is too slow just now; repeat the request")
            call.upsert(self._collections.products, message, timeout_s=LONGEST_STEP_S)
        for made_number, ended in self._ended.items():
            call.delete(self._collections.vectors(made_number), ended)
        self._write_thumbnails()
        for collection in self._written():
            call.wait_until_seen(collection)

    def _write_thumbnails(self) -> None:
        if not self._thumbnails or not self._collections.has_thumbnails():
            return
        collection = self._collections.thumbnails
        self._connection.upsert(collection, self.thumbnail_rows())
        removed = [key for key, jpeg in self._thumbnails.items() if not jpeg]
        self._connection.delete(collection, removed)
        self._connection.wait_until_seen(collection)

    def _written(self) -> set[str]:
        written = {self._collections.products} if self._changed else set()
        made_numbers = {*self._added, *self._ended}
        return written | {self._collections.vectors(number) for number in made_numbers}

    def _replace(
        self,
        row: ProductRow,
        old: ProductRow | None,
        vectors: Sequence[ProductVector],
        version: int,
        *,
        keeps_others: bool,
    ) -> tuple[VectorChange, ...]:
        """Writes a row with vectors in the place of those that its product has."""
        before = {} if old is None else dict(old.vectors)
        is_same_facets = old is not None and old.facets == row.facets
        made: dict[int, MadeVectors] = {}
        changes: list[VectorChange] = []
        for vector in vectors:
            made_number = self._know(vector)
            former = before.pop(made_number, None)
            made[made_number] = new = _made(vector, version)
            if former is not None and former.mark == new.mark:
                if is_same_facets and (made_number, row.number) not in self._lost:
                    made[made_number] = former
                    continue
            else:
                changes += self._change(row.number, made_number, former, new, vector)
            self._add(row, made_number, new, vector)
            if former is not None:
                self._end(row.number, made_number, former)
        for made_number, former in before.items():
            if not keeps_others:
                self._end(row.number, made_number, former)
                changes += self._change(row.number, made_number, former, None)
            elif is_same_facets:
                made[made_number] = former
            elif (other := self._other(row.number, made_number, former)) is not None:
                made[made_number] = new = _made(other, version)
                self._add(row, made_number, new, other)
                self._end(row.number, made_number, former)
        self._put(replace(row, vectors=made))
        return tuple(changes)

    def _other(self, number: int, made_number: int, former: MadeVectors) -> ProductVector | None:
        """Returns vectors whose facets change; None of an encoder that was dropped."""
        digest = self._digests.get(made_number)
        if digest is None:
            return None
        keys = vector_keys(number, former.version, 1 + former.further_count)
        waiting = [self._added[made_number].get(key) for key in keys]
        rows = [row["vector"] for row in waiting if row is not None]
        if len(rows) == len(keys):
            return made_vector(digest, former, self._collections.from_vectors(rows))
        return self._others.get((made_number, number))

    def _add(
        self, row: ProductRow, made_number: int, made: MadeVectors, vector: ProductVector
    ) -> None:
        keys = vector_keys(row.number, made.version, 1 + made.further_count)
        facets = row.facets
        for photo, (key, values) in enumerate(zip(keys, vector.rows, strict=True)):
            self._added[made_number][key] = {
                "key": key,
                "product_key": row.key,
                "number": row.number,
                "version": made.version,
                "photo": photo,
                "pattern": int(made.pattern),
                **facets,
                "vector": self._collections.to_vector(values),
            }

    def _end(self, number: int, made_number: int, made: MadeVectors) -> None:
        """Removes vectors; those that the batch itself added are never written."""
        if self._digests.get(made_number) is None:
            return
        for key in vector_keys(number, made.version, 1 + made.further_count):
            if self._added[made_number].pop(key, None) is None:
                self._ended[made_number].append(key)

    def _change(
        self,
        number: int,
        made_number: int,
        old: MadeVectors | None,
        new: MadeVectors | None,
        vector: ProductVector | None = None,
    ) -> list[VectorChange]:
        digest = self._digests.get(made_number)
        if digest is None:
            return []
        change = VectorChange(
            product_number=number,
            digest=digest,
            old=None if old is None else old.state,
            new=None if new is None else new.state,
        )
        return [change if vector is None else replace(change, rows=vector.rows)]

    def _know(self, vector: ProductVector) -> int:
        made_number = self.state.made_number(vector.digest)
        self._digests[made_number] = vector.digest
        self.state = self.state.knowing(vector.digest)
        return made_number

    def _put(self, row: ProductRow) -> None:
        self._rows[row.key] = row
        self._changed.add(row.key)

    def _live(self, key: str) -> ProductRow | None:
        row = self._rows.get(key)
        return None if row is None or row.is_deletion else row


def _made(vector: ProductVector, version: int) -> MadeVectors:
    has_further = len(vector.further_images) > 0
    return MadeVectors(
        pattern=vector.pattern,
        version=version,
        further_count=len(vector.further_images),
        image_dimension=vector.further_images.shape[1] if has_further else 0,
        mark=mark_of(vector),
    )


def _changed(product_id: str) -> ProductChangedError:
    return ProductChangedError(f"product {product_id!r} was changed meanwhile")


def _without_negative_zero(record: ProductRecord) -> ProductRecord:
    return record if record.price is None else replace(record, price=record.price + 0.0)
