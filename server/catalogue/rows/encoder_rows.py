"""The rows of the SQLite file that say which encoder serves, and which are kept beside it."""

from __future__ import annotations

import sqlite3

from twinshelf.server.catalogue.encoder_state import EncoderState


class EncoderRows:
    """What the SQLite file says of encoders. One thread writes; any may read the attribute.

    Attributes:
        state: What was read last.
    """

    def __init__(self, writer: sqlite3.Connection) -> None:
        """Reads what stands in the file."""
        self._writer = writer
        self.state = EncoderState()
        self.read()

    def read(self) -> None:
        """Reads it again, after a transaction that changed it."""
        current = self._writer.execute(
            "SELECT e.digest FROM catalogue_state s "
            "JOIN encoders e ON e.encoder_number = s.current_encoder"
        ).fetchone()
        kept = self._writer.execute("SELECT digest FROM encoders WHERE is_kept")
        self.state = EncoderState(
            current=None if current is None else current[0],
            kept=frozenset(digest for (digest,) in kept),
        )

    def write(self, state: EncoderState) -> None:
        """Writes it anew. Needs a transaction."""
        self._writer.executemany(
            "INSERT OR IGNORE INTO encoders (digest) VALUES (?)",
            [(digest,) for digest in {*state.kept, state.current} - {None}],
        )
        self._writer.execute(
            "UPDATE catalogue_state SET current_encoder = "
            "(SELECT encoder_number FROM encoders WHERE digest = ?)",
            (state.current,),
        )
        self._writer.execute("UPDATE encoders SET is_kept = 0 WHERE is_kept")
        self._writer.executemany(
            "UPDATE encoders SET is_kept = 1 WHERE digest = ?", [(each,) for each in state.kept]
        )
