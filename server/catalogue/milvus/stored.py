"""Reading what a catalogue on Milvus holds: products, their vectors, and what changed."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from twinshelf.server.catalogue.milvus.collections import Collections
from twinshelf.server.catalogue.milvus.connection import Level, MilvusConnection, Row
from twinshelf.server.catalogue.milvus.product_rows import (
    FIELDS,
    PRODUCT,
    MadeVectors,
    ProductRow,
    embedded_token,
    made_vector,
    product_key,
    vector_keys,
)
from twinshelf.server.catalogue.milvus.rising_rows import rows_after
from twinshelf.server.catalogue.milvus.state import STATE_KEY, CatalogueState
from twinshelf.server.catalogue.product_record import (
    ChangeableProduct,
    EmbeddedProduct,
    ProductVector,
    StoredProduct,
    UnembeddedProduct,
)
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.embedding import stored_embedding
from twinshelf.server.encoders.modalities import Pattern
from twinshelf.server.errors import CatalogueDamagedError, CatalogueUnavailableError

_KEYS_AT_ONCE: Final = 1024
# A row and its vectors are two reads: between them, or where one is older than the other, a product
# that is written anew looks damaged. So it is read again, and then all that anybody has written.
_TRIED_LEVELS: Final[tuple[Level | None, ...]] = (None, "Strong", "Strong")
_NEVER: Final = (1 << 63) - 1
PATTERNS = (Pattern.IMAGE, Pattern.TEXT, Pattern.BOTH)


class StoredRows:
    """Reads through a connection; safe to use from any thread.

    Attributes:
        state: The state of the catalogue, as it was read last.
    """

    def __init__(self, connection: MilvusConnection, collections: Collections) -> None:
        """Takes the connection."""
        self._connection = connection
        self._collections = collections
        self.state = CatalogueState()

    def read_state(self, level: Level | None = None) -> CatalogueState:
        """Reads the state anew."""
        _, state = self.rows_and_state([], level)
        return state

    def rows(self, keys: Sequence[str], level: Level | None = None) -> dict[str, ProductRow]:
        """Returns the rows of some keys, those of deletions as well; reads the state, too.

        Raises:
            CatalogueUnavailableError: If Milvus shows a part of what it holds, or is away.
        """
        rows, _ = self.rows_and_state(keys, level)
        return rows

    def rows_and_state(
        self, keys: Sequence[str], level: Level | None = None
    ) -> tuple[dict[str, ProductRow], CatalogueState]:
        """Returns rows as `rows` does, and the state beside them.

        Who writes by the state takes this one: the attribute may be what another thread has read,
        whose call began before.
        """
        found: dict[str, ProductRow] = {}
        for start in range(0, max(len(keys), 1), _KEYS_AT_ONCE):
            block = ", ".join(f'"{key}"' for key in (STATE_KEY, *keys[start:][:_KEYS_AT_ONCE]))
            rows = self._connection.query(
                self._collections.products, f"key in [{block}]", FIELDS, level=level
            )
            by_key = {row["key"]: row for row in rows}
            self.state = state = self._state_of(by_key.pop(STATE_KEY, None))
            found |= {key: ProductRow.from_row(row) for key, row in by_key.items()}
        return found, state

    def _state_of(self, row: Row | None) -> CatalogueState:
        """Reads the row that is written first and never removed; without it, others are missing.

        A query node that has just come back may answer before it has read what lies on the disk
        (milvus#36549). Products that seem not to be there would be written as new ones, and their
        vectors removed as orphans; a server that starts then would write the state of a new
        catalogue over the one that there is.
        """
        if row is not None:
            return CatalogueState.from_json("".join(row["body"]))
        if self.state != CatalogueState() or self._connection.has_rows(self._collections.products):
            raise CatalogueUnavailableError("Milvus has not read all of the catalogue yet; repeat")
        return CatalogueState()

    def products(
        self, product_ids: Sequence[str], level: Level | None = None
    ) -> dict[str, ProductRow]:
        """Returns the rows of those products that there are, by identifier."""
        rows = self.rows([product_key(each) for each in product_ids], level).values()
        return {row.record.product_id: row for row in rows if not row.is_deletion}

    def product(self, product_id: str) -> StoredProduct | None:
        """Returns one product, or None."""
        row = self.products([product_id]).get(product_id)
        return None if row is None else self.shown(row)

    def shown(self, row: ProductRow) -> StoredProduct:
        """Returns a product with what the serving encoder made of it, or else another."""
        made_number = self._shown_number(row)
        return StoredProduct(
            record=row.record,
            pattern=Pattern.NONE if made_number is None else row.vectors[made_number].pattern,
            digest="" if made_number is None else self.state.digests[made_number],
            update_time_us=row.update_time_us,
        )

    def changeable(self, product_id: str) -> ChangeableProduct | None:
        """Returns one product with its vectors, or None.

        Raises:
            CatalogueDamagedError: If vectors that its row names are not there.
        """
        for level in _TRIED_LEVELS:
            row = self.products([product_id], level).get(product_id)
            if row is None:
                return None
            digests = self.state.digests
            made = {number: each for number, each in row.vectors.items() if number in digests}
            vectors = {
                digests[made_number]: vector
                for made_number, each in made.items()
                for vector in self.vectors(
                    digests[made_number], made_number, {row.number: each}, level
                ).values()
            }
            if len(vectors) == len(made):
                return ChangeableProduct(
                    product=self.shown(row), vectors=vectors, change_sequence=row.change
                )
        raise CatalogueDamagedError(
            f"vectors of product {product_id!r} are missing; write it again",
            facts={"product_id": product_id},
        )

    def thumbnail(self, product_id: str) -> bytes | None:
        """Returns the thumbnail of a product, or None."""
        if not self._collections.has_thumbnails():
            return None
        found = self._connection.query(
            self._collections.thumbnails, f'key == "{product_key(product_id)}"', ["jpeg"]
        )
        return base64.b64decode("".join(found[0]["jpeg"])) if found else None

    def products_after(self, product_id: str, count: int) -> list[StoredProduct]:
        """Returns up to `count` products by rising product_id, from after the one given."""
        rows = self._connection.query(
            self._collections.products,
            f'kind == {PRODUCT} and key > "{product_key(product_id)}"',
            FIELDS,
            limit=count,
        )
        return [self.shown(ProductRow.from_row(row)) for row in rows]

    def unembedded_after(self, number: int, digest: str, count: int) -> list[UnembeddedProduct]:
        """Returns products that an encoder has not embedded; see `Encoders`."""
        found = rows_after(
            self._connection,
            self._collections.products,
            "number",
            (number, _NEVER),
            count,
            missing_condition(self.state.made_number(digest)),
            FIELDS,
        )
        unembedded = []
        for row in map(ProductRow.from_row, found):
            shown = self._shown_number(row)
            unembedded.append(
                UnembeddedProduct(
                    product_number=row.number,
                    product=self.shown(row),
                    further_count=0 if shown is None else row.vectors[shown].further_count,
                    change_sequence=row.change,
                )
            )
        return unembedded

    def embedded_products(
        self, product_ids: Sequence[str], contract: EncoderContract
    ) -> dict[str, EmbeddedProduct]:
        """Returns products with what an encoder made of them; see `Catalogue`."""
        found: dict[str, EmbeddedProduct] = {}
        left = product_ids
        for level in _TRIED_LEVELS:
            rows = self.products(left, level)
            for product_id in left:  # it may be gone by now
                found.pop(product_id, None)
            made_number = self.state.made_number(contract.digest)
            asked = {
                row.number: row.vectors[made_number]
                for row in rows.values()
                if made_number in row.vectors
            }
            vectors = self.vectors(contract.digest, made_number, asked, level) if asked else {}
            left = []
            for product_id, row in rows.items():
                made = vectors.get(row.number)
                found[product_id] = self._embedded(row, made, contract)
                if made is None and row.number in asked:
                    left.append(product_id)
            if not left:
                break
        return found

    def _embedded(
        self, row: ProductRow, made: ProductVector | None, contract: EncoderContract
    ) -> EmbeddedProduct:
        product = self.shown(row)
        if made is None:
            return EmbeddedProduct(product=product, embedding=None)
        embedding = stored_embedding(made.vector, made.pattern, contract)
        product = replace(product, pattern=made.pattern, digest=contract.digest)
        return EmbeddedProduct(
            product=product, embedding=embedding, further_count=len(made.further_images)
        )

    def vectors(
        self,
        digest: str,
        made_number: int,
        made: Mapping[int, MadeVectors],
        level: Level | None = None,
    ) -> dict[int, ProductVector]:
        """Returns what an encoder made of products, by their numbers; none that is not there."""
        places = {
            key: (number, photo)
            for number, each in made.items()
            for photo, key in enumerate(vector_keys(number, each.version, 1 + each.further_count))
        }
        values: dict[int, dict[int, Any]] = {}
        keys = list(places)
        for start in range(0, len(keys), _KEYS_AT_ONCE):
            block = ", ".join(f'"{key}"' for key in keys[start : start + _KEYS_AT_ONCE])
            rows = self._connection.query(
                self._collections.vectors(made_number),
                f"key in [{block}]",
                ["key", "vector"],
                level=level,
            )
            for row in rows:
                number, photo = places[row["key"]]
                values.setdefault(number, {})[photo] = row["vector"]
        return {
            number: made_vector(
                digest,
                made[number],
                self._collections.from_vectors([each for _, each in sorted(rows.items())]),
            )
            for number, rows in values.items()
            if len(rows) == 1 + made[number].further_count
        }

    def _shown_number(self, row: ProductRow) -> int | None:
        digests = self.state.digests
        current = self.state.encoders.current
        numbers = sorted(
            (digests[number] != current, number) for number in row.vectors if number in digests
        )
        return numbers[0][1] if numbers else None


def embedded_condition(made_number: int, patterns: Sequence[Pattern]) -> str:
    """Returns the condition for products of which an encoder embedded one of some patterns."""
    tokens = [embedded_token(made_number, pattern) for pattern in patterns]
    return f"array_contains_any(embedded, {tokens})"


def missing_condition(made_number: int) -> str:
    """Returns the condition for products that an encoder has not embedded."""
    return f"kind == {PRODUCT} and not ({embedded_condition(made_number, PATTERNS)})"
