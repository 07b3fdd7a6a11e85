"""Identifiers that a stream of rows has had, however many: on disk, not in memory."""

from __future__ import annotations

import sqlite3


class SeenIdentifiers:
    """Remembers in which row an identifier stood first."""

    def __init__(self) -> None:
        """Opens a private temporary database, which SQLite removes when it is closed."""
        # One thread reads the rows; it may be another that drops them when their reader fails.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN;"
            "CREATE TABLE seen (identifier TEXT PRIMARY KEY, place TEXT) WITHOUT ROWID;"
        )

    def add(self, identifier: str, place: str) -> str:
        """Adds an identifier.

        Args:
            identifier: Any text.
            place: Where it stands, in words.

        Returns:
            The place where it stood before; empty when it is new.
        """
        key = identifier.encode("utf-8", "surrogatepass")
        added = self._database.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (key, place))
        if added.rowcount == 1:
            return ""
        found = self._database.execute("SELECT place FROM seen WHERE identifier = ?", (key,))
        return str(found.fetchone()[0])

    def close(self) -> None:
        """Removes the database."""
        self._database.close()
