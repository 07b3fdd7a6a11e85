"""The SQLite file of the catalogue: its tables, its version, and how it is opened."""

from __future__ import annotations

import sqlite3
from pathlib import Path

SCHEMA_VERSION = 1
APPLICATION_ID = 0x7477736C  # "twsl": tells our files from those of other programs
BUSY_TIMEOUT_S = 10.0

_TABLES = """
CREATE TABLE catalogue_state (
    change_sequence INTEGER NOT NULL
) STRICT;
INSERT INTO catalogue_state VALUES (0);

CREATE TABLE encoders (
    encoder_number INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE
) STRICT;

-- AUTOINCREMENT: a number is never given to another product, so that a key of the search index
-- can never point to the wrong one.
CREATE TABLE products (
    product_number INTEGER PRIMARY KEY AUTOINCREMENT,
    product_id TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    description TEXT NOT NULL,
    category TEXT NOT NULL,
    brand TEXT NOT NULL,
    seller TEXT NOT NULL,
    price REAL,
    attributes TEXT NOT NULL,
    image_uri TEXT NOT NULL,
    update_time_us INTEGER NOT NULL,
    change_sequence INTEGER NOT NULL
) STRICT;

-- Apart from the products: scoring reads vectors only, and long texts would stand between them.
CREATE TABLE product_vectors (
    product_number INTEGER PRIMARY KEY REFERENCES products ON DELETE CASCADE,
    encoder_number INTEGER NOT NULL REFERENCES encoders,
    pattern INTEGER NOT NULL,
    vector_version INTEGER NOT NULL,
    vector BLOB NOT NULL
) STRICT;
CREATE INDEX product_vectors_by_encoder ON product_vectors (encoder_number, pattern);
"""


class CatalogueFileError(Exception):
    """The file is not a catalogue that this version can serve; the message says why."""


def open_writer(path: Path) -> sqlite3.Connection:
    """Opens the one writing connection; makes the file when there is none.

    Raises:
        CatalogueFileError: If the file is another program's, or of a newer schema.
    """
    connection = sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )
    try:
        _prepare(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """Opens a connection that cannot write."""
    connection = sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA query_only = ON")
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    except sqlite3.DatabaseError as error:
        raise CatalogueFileError(f"{path} cannot be read as a catalogue: {error}") from None
    if tables and application != APPLICATION_ID:
        raise CatalogueFileError(f"{path} is an SQLite file of another program")
    if tables and version != SCHEMA_VERSION:
        raise CatalogueFileError(
            f"{path} has schema version {version}; this server reads version {SCHEMA_VERSION}"
        )
    connection.execute("PRAGMA journal_mode = WAL")
    # FULL: an acknowledged write survives a power cut. Commits are batched, so it costs little.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    if not tables:
        connection.executescript(
            f"BEGIN; {_TABLES} PRAGMA application_id = {APPLICATION_ID};"
            f"PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
        )
