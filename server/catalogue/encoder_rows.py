"""Which encoder serves the catalogue, and of which others the vectors are kept up to date."""

from __future__ import annotations

import sqlite3

from twinshelf.server.catalogue.product_record import ProductVector
from twinshelf.server.errors import EncoderChangedError


class EncoderRows:
    """What the SQLite file says of encoders. One thread writes; any may read the attributes.

    Attributes:
        current: Digest of the encoder that serves; None before the first.
        kept: Digests of the encoders that every write reaches.
    """

    def __init__(self, writer: sqlite3.Connection) -> None:
        """Reads what stands in the file."""
        self._writer = writer
        self.current: str | None = None
        self.kept: frozenset[str] = frozenset()
        self.read()

    def read(self) -> None:
        """Reads it again, after a transaction that changed it."""
        current = self._writer.execute(
            "SELECT e.digest FROM catalogue_state s "
            "JOIN encoders e ON e.encoder_number = s.current_encoder"
        ).fetchone()
        kept = self._writer.execute("SELECT digest FROM encoders WHERE is_kept")
        self.kept = frozenset(digest for (digest,) in kept)
        self.current = None if current is None else current[0]

    def set_current(self, digest: str) -> None:
        """Writes which encoder serves. Needs a transaction."""
        self._writer.execute("INSERT OR IGNORE INTO encoders (digest) VALUES (?)", (digest,))
        self._writer.execute(
            "UPDATE catalogue_state SET current_encoder = "
            "(SELECT encoder_number FROM encoders WHERE digest = ?)",
            (digest,),
        )

    def set_kept(self, digest: str, *, is_kept: bool) -> None:
        """Writes whether the vectors of an encoder are kept up to date. Needs a transaction."""
        self._writer.execute("INSERT OR IGNORE INTO encoders (digest) VALUES (?)", (digest,))
        self._writer.execute("UPDATE encoders SET is_kept = ? WHERE digest = ?", (is_kept, digest))

    def choose(self, vectors: tuple[ProductVector, ...]) -> tuple[ProductVector, ...]:
        """Returns those vectors of a write that are stored: of the encoders that are kept.

        Where the one that serves is not kept beside another, that is its own, or else the first:
        products of an older encoder are then embedded again one by one.

        Raises:
            EncoderChangedError: If that of the encoder that serves is missing; another one came
                into service since they were made.
        """
        if self.current not in self.kept:
            own = tuple(made for made in vectors if made.digest == self.current)
            return own or vectors[:1]
        chosen = tuple(made for made in vectors if made.digest in self.kept)
        if self.current not in {made.digest for made in chosen}:
            raise EncoderChangedError("the encoder has just changed; repeat the request")
        return chosen

    def check_kept(self, digest: str) -> None:
        """Checks that the vectors of an encoder are kept.

        Raises:
            EncoderChangedError: If they are not.
        """
        if digest not in self.kept:
            raise EncoderChangedError(f"vectors of the encoder {digest} are not kept")
