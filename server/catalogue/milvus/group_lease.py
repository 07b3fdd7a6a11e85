"""Which server holds the groups: the one with the oldest claim that is alive.

Each server writes a claim of its own, with a timestamp of Milvus, and looks at those of the others
once nobody can write an older one any more. So two never hold the groups, as long as their clocks
run equally fast and Milvus makes no write later than it let a caller wait for it.
"""

from __future__ import annotations

import secrets
import time
from contextlib import suppress
from typing import Final

from twinshelf.server.catalogue.milvus.connection import LOGICAL_BITS, MilvusConnection
from twinshelf.server.catalogue.milvus.group_rows import (
    CLAIM,
    GROUP_FIELDS,
    claim_row,
    read_body,
)
from twinshelf.server.catalogue.milvus.write_batch import LONGEST_STEP_S
from twinshelf.server.errors import CatalogueUnavailableError

# Longer than the steps of one change of groups may take; whoever dies is waited for so long.
_LEASE_S: Final = 30.0
_RENEWED_AFTER_S: Final = 5.0
_LOOK_INTERVAL_S: Final = 0.2


class GroupLease:
    """The claim of one server; belongs to whoever has the store's lock."""

    def __init__(self, connection: MilvusConnection, collection: str, settle_s: float) -> None:
        """Takes the parts.

        Args:
            connection: The connection.
            collection: That of the groups.
            settle_s: Age of a claim at which no older one can come, `LONGEST_STEP_S` at most.
        """
        self._connection = connection
        self._collection = collection
        self._settle_s = min(settle_s, LONGEST_STEP_S)
        self._key = f"c{secrets.token_hex(8)}"
        self._claimed = 0
        self._renewed_s = -_LEASE_S
        self._is_held = False

    def take(self) -> bool:
        """Holds the groups, waits for others; returns whether they may have changed since.

        Raises:
            CatalogueUnavailableError: If another server does not let go of them.
        """
        if self._is_held and time.monotonic() - self._renewed_s < _LEASE_S:
            self.renew()
            return False
        self._claim()
        deadline_s = time.monotonic() + _LEASE_S + _RENEWED_AFTER_S
        while min(self._others(), default=self._claimed) < self._claimed:
            if time.monotonic() > deadline_s:
                self.release()
                raise CatalogueUnavailableError(
                    "another server is changing the groups; repeat the request"
                )
            time.sleep(_LOOK_INTERVAL_S)
            self.renew()
        # Whatever is read from now on is at least as new as this write.
        self._write()
        self._is_held = True
        return True

    def renew(self) -> None:
        """Says that this server still lives.

        Raises:
            CatalogueUnavailableError: If it was silent for too long, so that others may go on.
        """
        if time.monotonic() - self._renewed_s > _RENEWED_AFTER_S:
            before_s = self._renewed_s
            self._write()
            if time.monotonic() - before_s > _LEASE_S:
                self._is_held = False
                raise CatalogueUnavailableError(
                    "Milvus is too slow to change groups just now; repeat the request"
                )

    def is_wanted(self) -> bool:
        """Tells whether another server holds the groups or waits for them."""
        return bool(self._others())

    def release(self) -> None:
        """Lets others hold the groups. A repeat is safe."""
        claimed, self._claimed, self._is_held = self._claimed, 0, False
        if claimed:
            with suppress(CatalogueUnavailableError):  # then the claim dies of age
                self._connection.delete(self._collection, [self._key])

    def _claim(self) -> None:
        while True:
            begun_s = time.monotonic()
            (self._claimed,) = self._connection.timestamps()
            self._write()
            if time.monotonic() - begun_s <= LONGEST_STEP_S:
                break
        time.sleep(self._settle_s)

    def _write(self) -> None:
        begun_s = time.monotonic()
        (now,) = self._connection.timestamps()
        row = claim_row(self._key, self._claimed, now)
        self._connection.upsert(self._collection, [row])
        self._renewed_s = begun_s

    def _others(self) -> list[int]:
        """Returns since when the others that live have claims."""
        rows = self._connection.query(
            self._collection, f"kind == {CLAIM}", GROUP_FIELDS, level="Strong"
        )
        (now,) = self._connection.timestamps()
        oldest = now - (int(_LEASE_S * 1000) << LOGICAL_BITS)
        claims = {row["key"]: read_body(row) for row in rows if row["key"] != self._key}
        self._connection.delete(
            self._collection, [key for key, (_, renewed) in claims.items() if renewed < oldest]
        )
        return [claimed for claimed, renewed in claims.values() if renewed >= oldest]
