"""Claims of reindexing servers, so that none of them undoes what another server writes.

What an encoder makes of a stored product is added to its row, which is written anew as it was read.
Milvus cannot make that depend on the row: a product that another server writes meanwhile would
become again what it was. So whoever adds claims the keys before it reads the rows, and ends its
claim when they are written. Whoever writes a product looks for claims after it: one that it does
not see reads the new row. It waits for those that it sees, and writes its row again where it is
undone, before the write is answered.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final
from uuid import uuid4

from twinshelf.server.catalogue.milvus.collections import Collections
from twinshelf.server.catalogue.milvus.connection import LOGICAL_BITS, MilvusConnection
from twinshelf.server.catalogue.milvus.product_rows import (
    CLAIM,
    FIELDS,
    ProductRow,
    claim_row,
)
from twinshelf.server.catalogue.milvus.state import STATE_KEY, CatalogueState
from twinshelf.server.errors import CatalogueUnavailableError

logger = logging.getLogger(__name__)
_LOOK_INTERVAL_S: Final = 0.02
# Who has claimed products has so long to read them.
_LONGEST_READ_S: Final = 2.0


class Claims:
    """The claims of all servers of a catalogue. Belongs to the thread of the writer."""

    def __init__(
        self, connection: MilvusConnection, collections: Collections, longest_write_s: float
    ) -> None:
        """Takes the parts.

        Args:
            connection: The connection.
            collections: Names the collections.
            longest_write_s: Time in which a batch that was read is written, or never.
        """
        self._connection = connection
        self._products = collections.products
        self._life = int((_LONGEST_READ_S + longest_write_s) * 1000) << LOGICAL_BITS
        self._read_until_s = 0.0

    @contextmanager
    def held(self, keys: Sequence[str]) -> Iterator[None]:
        """Claims the keys of products for as long as the block runs.

        The rows must be read within it, with `Strong`. Where it fails, Milvus may still write what
        it has not answered: the claim then ends by its age.
        """
        self._read_until_s = math.inf
        if not keys:
            yield
            return
        self._read_until_s = time.monotonic() + _LONGEST_READ_S
        claim = f"{STATE_KEY}{uuid4().hex}"
        (timestamp,) = self._connection.timestamps()
        self._connection.upsert(self._products, [claim_row(claim, timestamp, keys)])
        yield
        self._end([claim])

    def check_read(self) -> None:
        """Checks that what is claimed was read in time.

        Raises:
            CatalogueUnavailableError: If not; the claim might end before all is written.
        """
        if time.monotonic() > self._read_until_s:
            raise CatalogueUnavailableError("Milvus is too slow just now; repeat the request")

    def guard(
        self, before: Mapping[str, ProductRow], written: Mapping[str, ProductRow]
    ) -> Iterator[ProductRow]:
        """Yields rows by which a write was undone, which is then to be made again, until none is.

        Args:
            before: The rows as they were before the write, by key.
            written: The rows as they were written.
        """
        waited: set[str] | None = None
        while written:
            is_reindexed, claims = self._claims()
            if not is_reindexed:
                return
            held = {name for name, keys in claims.items() if not written.keys().isdisjoint(keys)}
            waited = held if waited is None else waited & held
            undone = [
                row
                for row in self._rows(list(written))
                if _is_undone(row, before.get(row.key), written[row.key])
            ]
            if undone:
                yield from undone
                waited = None
            elif not waited:
                return
            else:
                time.sleep(_LOOK_INTERVAL_S)

    def _claims(self) -> tuple[bool, dict[str, frozenset[str]]]:
        """Returns whether encoders are kept, and the keys of the claims that live, by name."""
        rows = self._connection.query(
            self._products, f'key == "{STATE_KEY}" or kind == {CLAIM}', FIELDS, level="Session"
        )
        bodies = {row["key"]: "".join(row["body"]) for row in rows}
        if STATE_KEY not in bodies:
            raise CatalogueUnavailableError("Milvus has not read all of the catalogue yet; repeat")
        state = CatalogueState.from_json(bodies.pop(STATE_KEY))
        if not state.encoders.kept or not bodies:
            return bool(state.encoders.kept), {}
        (now,) = self._connection.timestamps()
        claims: dict[str, frozenset[str]] = {}
        for name, body in bodies.items():
            timestamp, *keys = json.loads(body)
            if now - timestamp < self._life:
                claims[name] = frozenset(keys)
        self._end([name for name in bodies if name not in claims])
        return True, claims

    def _rows(self, keys: Sequence[str]) -> list[ProductRow]:
        block = ", ".join(f'"{key}"' for key in keys)
        rows = self._connection.query(self._products, f"key in [{block}]", FIELDS, level="Session")
        return [ProductRow.from_row(row) for row in rows]

    def _end(self, names: Sequence[str]) -> None:
        try:
            self._connection.delete(self._products, names)
        except CatalogueUnavailableError as error:  # it ends by its age
            logger.info("claims stay for a while: %s", error.message)


def _is_undone(row: ProductRow, before: ProductRow | None, written: ProductRow) -> bool:
    """Tells whether a row is the one from before the write, with something added to it."""
    if before is None or row.change == written.change or row.is_deletion:
        return False
    return row.update_time_us == before.update_time_us
