"""The SQLite file of the catalogue: its tables, its version, and how it is opened and migrated."""

from __future__ import annotations

import logging
import re
import secrets
import sqlite3
import time
import zlib
from pathlib import Path
from typing import Any

from twinshelf.server.catalogue.rows.group_tables import CHECKSUMS, GROUP_TABLES

logger = logging.getLogger(__name__)
SCHEMA_VERSION = 6
APPLICATION_ID = 0x7477736C  # "twsl": tells our files from those of other programs
BUSY_TIMEOUT_S = 10.0
# What SQLite's log may keep of the disk; it grows beyond while a long read goes on.
_LOG_LIMIT_BYTES = 64 << 20
# What SQLite's check tells at most, and how it tells of a value of a wrong type.
_COMPLAINT_LIMIT = 100
_VALUE_COMPLAINT = re.compile(
    r"(NULL|non-\w+) value in "
    r"(products|product_vectors|vectors_beside|further_photos|thumbnails)\.\w+"
)
PRODUCT_FIELDS = (
    "product_id, title, description, category, brand, seller, price, attributes, image_uri, "
    "update_time_us"
)

# Those of version 2; what came later is in the steps to the versions after it.
_TABLES = """
-- catalogue_id: made anew when a backup is restored, so that a snapshot of the index from another
-- history is not taken for ours.
CREATE TABLE catalogue_state (
    change_sequence INTEGER NOT NULL,
    catalogue_id TEXT NOT NULL DEFAULT ''
) STRICT;
INSERT INTO catalogue_state (change_sequence) VALUES (0);

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
    change_sequence INTEGER NOT NULL,
    checksum INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Apart from the products: scoring reads vectors only, and long texts would stand between them.
CREATE TABLE product_vectors (
    product_number INTEGER PRIMARY KEY REFERENCES products ON DELETE CASCADE,
    encoder_number INTEGER NOT NULL REFERENCES encoders,
    pattern INTEGER NOT NULL,
    vector_version INTEGER NOT NULL,
    vector BLOB NOT NULL,
    checksum INTEGER NOT NULL DEFAULT 0
) STRICT;
"""
_FROM_VERSION_1 = f"""
ALTER TABLE catalogue_state ADD COLUMN catalogue_id TEXT NOT NULL DEFAULT '';
ALTER TABLE products ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
ALTER TABLE product_vectors ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
DROP INDEX product_vectors_by_encoder;
UPDATE products SET checksum = row_checksum({PRODUCT_FIELDS});
UPDATE product_vectors
    SET checksum = vector_checksum(vector, encoder_number, pattern, vector_version);
"""
# The index holds all that a snapshot is compared with, so that no vector is read for it.
_TO_VERSION_2 = f"""
CREATE INDEX product_vectors_by_encoder
    ON product_vectors (encoder_number, pattern, product_number, vector_version, checksum);
{GROUP_TABLES}
UPDATE catalogue_state SET catalogue_id = lower(hex(randomblob(8)));
"""
# Whoever copies all products from change 0 may break off and go on from any of theirs.
_FORGET_CHANGES = """
UPDATE catalogue_state SET forgotten_sequence = change_sequence;
UPDATE products SET change_sequence = forgotten_sequence + place FROM catalogue_state, (
    SELECT product_number AS number, row_number() OVER (ORDER BY change_sequence) AS place
    FROM products
) WHERE number = product_number;
UPDATE catalogue_state
    SET change_sequence = change_sequence + (SELECT count(*) FROM products);
"""
_FROM_VERSION_2 = f"""
-- forgotten_sequence: deletions up to this change are no longer known.
ALTER TABLE catalogue_state ADD COLUMN forgotten_sequence INTEGER NOT NULL DEFAULT 0;
{_FORGET_CHANGES}
CREATE INDEX products_by_change ON products (change_sequence);

CREATE TABLE deletions (
    change_sequence INTEGER PRIMARY KEY,
    product_id TEXT NOT NULL
) STRICT;

-- What a photo after the first has in the place of the first one's half, in a copy of the vector.
CREATE TABLE further_photos (
    product_number INTEGER NOT NULL REFERENCES product_vectors ON DELETE CASCADE,
    photo_number INTEGER NOT NULL,
    image_vector BLOB NOT NULL,
    checksum INTEGER NOT NULL
) STRICT;
-- As for vectors: to count them and to compare them with a snapshot reads no vector.
CREATE UNIQUE INDEX further_photos_by_product
    ON further_photos (product_number, photo_number, checksum);

-- Apart from all that a start, a search or a snapshot reads.
CREATE TABLE thumbnails (
    product_number INTEGER PRIMARY KEY REFERENCES products ON DELETE CASCADE,
    checksum INTEGER NOT NULL,
    jpeg BLOB NOT NULL
) STRICT;
"""
# Vectors of the other encoders of products that have several. product_vectors has one of each
# product; whose it is does not matter, so that a switch of encoders moves no vector.
_FROM_VERSION_3 = """
-- is_kept: whether the vectors of the encoder are kept up to date beside those of others.
ALTER TABLE encoders ADD COLUMN is_kept INTEGER NOT NULL DEFAULT 0;
ALTER TABLE catalogue_state ADD COLUMN current_encoder INTEGER REFERENCES encoders;

-- pattern: 0, without a vector, where the encoder has yet to embed what was written since.
CREATE TABLE vectors_beside (
    encoder_number INTEGER NOT NULL REFERENCES encoders,
    product_number INTEGER NOT NULL REFERENCES products ON DELETE CASCADE,
    pattern INTEGER NOT NULL,
    vector_version INTEGER NOT NULL,
    vector BLOB NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (product_number, encoder_number)
) STRICT;
CREATE INDEX vectors_beside_by_encoder
    ON vectors_beside (encoder_number, pattern, product_number, vector_version, checksum);

-- Each encoder has halves of its own for the further photos. They end with the product.
ALTER TABLE further_photos ADD COLUMN encoder_number INTEGER NOT NULL DEFAULT 0;
UPDATE further_photos SET encoder_number = (SELECT encoder_number FROM product_vectors v
    WHERE v.product_number = further_photos.product_number);
DROP INDEX further_photos_by_product;
CREATE UNIQUE INDEX further_photos_by_product
    ON further_photos (product_number, encoder_number, photo_number, checksum);

CREATE TRIGGER group_pending_on_insert_beside AFTER INSERT ON vectors_beside
WHEN NEW.pattern > 0 AND NEW.encoder_number = (SELECT current_encoder FROM catalogue_state) BEGIN
    INSERT OR REPLACE INTO group_pending (product_number, is_changed)
        VALUES (NEW.product_number, 1);
END;
-- What only moves from one table to the other is not new.
DROP TRIGGER group_pending_on_update;
CREATE TRIGGER group_pending_on_update AFTER UPDATE OF vector_version ON product_vectors
WHEN NOT EXISTS (
    SELECT 1 FROM vectors_beside b WHERE b.product_number = NEW.product_number
    AND b.encoder_number = NEW.encoder_number AND b.vector_version = NEW.vector_version
) BEGIN
    INSERT OR REPLACE INTO group_pending (product_number, is_changed)
        VALUES (NEW.product_number, 1);
END;
"""
_FROM_VERSION_4 = """
ALTER TABLE group_members ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
ALTER TABLE group_neighbours ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
"""
_FROM_VERSION_5 = "".join(
    (
        "ALTER TABLE group_events ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;",
        *(f"UPDATE {table} SET checksum = {checksum};" for table, checksum in CHECKSUMS.items()),
    )
)
# What leads from each version to the next one.
_STEPS = (
    f"{_FROM_VERSION_1} {_TO_VERSION_2}",
    _FROM_VERSION_2,
    _FROM_VERSION_3,
    _FROM_VERSION_4,
    _FROM_VERSION_5,
)


class CatalogueFileError(Exception):
    """The file is not a catalogue that this version can serve; the message says why."""


def row_checksum(*values: object) -> int:
    """Returns the CRC-32 of the values of a row, such as those of `PRODUCT_FIELDS`."""
    return zlib.crc32("\0".join(map(str, values)).encode())


def vector_checksum(vector: bytes, encoder_number: int, pattern: int, vector_version: int) -> int:
    """Returns the CRC-32 of a stored vector and of what says how to read it."""
    return zlib.crc32(f"{encoder_number} {pattern} {vector_version}".encode(), zlib.crc32(vector))


def photo_checksum(half: bytes, photo_number: int, owner_checksum: int) -> int:
    """Returns the CRC-32 of a further photo's half and of what says whose it is.

    Args:
        half: The half.
        photo_number: Its number, from 1.
        owner_checksum: That of the vector of its product.
    """
    return zlib.crc32(f"{photo_number} {owner_checksum}".encode(), zlib.crc32(half))


def thumbnail_checksum(jpeg: bytes, product_number: int) -> int:
    """Returns the CRC-32 of a thumbnail and of whose it is."""
    return zlib.crc32(str(product_number).encode(), zlib.crc32(jpeg))


class _Connection(sqlite3.Connection):
    """Tells damage of the schema as such also where the name of what is damaged is no text."""

    def execute(self, *statement: Any) -> sqlite3.Cursor:
        """Runs one statement.

        Raises:
            sqlite3.DatabaseError: Also where Python cannot decode what SQLite says of the error.
        """
        try:
            return super().execute(*statement)
        except UnicodeDecodeError as error:
            message = error.object.decode("utf-8", "replace")
            raise sqlite3.DatabaseError(message) from None


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
        factory=_Connection,
    )
    # A text that is no UTF-8 is its row's damage, which the checksum tells; the others are read.
    connection.text_factory = lambda text: text.decode("utf-8", "replace")
    connection.create_function("row_checksum", -1, row_checksum, deterministic=True)
    return connection


def open_writer(path: Path) -> sqlite3.Connection:
    """Opens the one writing connection; makes the file when there is none, migrates an older one.

    Raises:
        CatalogueFileError: If the file is another program's, or of a newer schema.
    """
    connection = _connect(path)
    try:
        _prepare(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """Opens a connection that cannot write."""
    connection = _connect(path)
    connection.execute("PRAGMA query_only = ON")
    return connection


def check_whole(connection: sqlite3.Connection, *, checks_values: bool = True) -> str | None:
    """Runs SQLite's own check; returns what it found, None when all is well.

    The whole one: the quick one would not see an index that says otherwise than its table.

    Args:
        connection: A connection to the file.
        checks_values: Whether values of another type than their column's count where
            `find_damaged_rows` tells whose they are.
    """
    limit = 1 if checks_values else _COMPLAINT_LIMIT
    try:
        rows: list[tuple[str]] = connection.execute(f"PRAGMA integrity_check({limit})").fetchall()
    except sqlite3.DatabaseError as error:
        return str(error)
    found = [problem for (problem,) in rows if problem != "ok"]
    if not checks_values and len(found) < limit:
        found = [problem for problem in found if not _VALUE_COMPLAINT.fullmatch(problem)]
    return found[0] if found else None


def renew_catalogue_id(connection: sqlite3.Connection) -> None:
    """Gives the file an identity that no other has, and numbers that no change and event has had.

    What happened after the copy was taken had numbers, too: with the clock's, no history has
    reached those of the next, and who knows an older change is told to begin again.
    """
    clock_us = time.time_ns() // 1000
    connection.execute(
        "UPDATE catalogue_state SET catalogue_id = ?, change_sequence = max(change_sequence, ?)",
        (secrets.token_hex(8), clock_us),
    )
    # KiB: the rows are read in one order and written in another. It takes less than half the time.
    connection.execute("PRAGMA cache_size = -262144")
    connection.executescript(f"BEGIN; {_FORGET_CHANGES} DELETE FROM deletions; COMMIT;")
    # AUTOINCREMENT has no row of a table that was always empty.
    (last,) = connection.execute(
        "SELECT max(seq) FROM sqlite_sequence WHERE name = 'group_events'"
    ).fetchone()
    connection.execute("DELETE FROM sqlite_sequence WHERE name = 'group_events'")
    connection.execute(
        "INSERT INTO sqlite_sequence VALUES ('group_events', ?)", (max(last or 0, clock_us),)
    )


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    except sqlite3.DatabaseError as error:
        raise CatalogueFileError(f"{path} cannot be read as a catalogue: {error}") from None
    if tables and application != APPLICATION_ID:
        raise CatalogueFileError(f"{path} is an SQLite file of another program")
    if tables and not 1 <= version <= SCHEMA_VERSION:
        raise CatalogueFileError(
            f"{path} has schema version {version}; this server reads versions 1 to {SCHEMA_VERSION}"
        )
    connection.execute("PRAGMA journal_mode = WAL")
    # FULL: an acknowledged write survives a power cut. Commits are batched, so it costs little.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA journal_size_limit = {_LOG_LIMIT_BYTES}")
    if not tables:
        _make_schema(connection, " ".join((_TABLES, _TO_VERSION_2, *_STEPS[1:])))
    elif version < SCHEMA_VERSION:
        _make_schema(connection, " ".join(_STEPS[version - 1 :]))
        logger.info("%s was migrated to schema version %d", path, SCHEMA_VERSION)


def _make_schema(connection: sqlite3.Connection, statements: str) -> None:
    """Brings the file to the schema of this version, all at once."""
    connection.create_function("vector_checksum", 4, vector_checksum, deterministic=True)
    connection.executescript(
        f"BEGIN IMMEDIATE; {statements}"
        f"PRAGMA application_id = {APPLICATION_ID};"
        f"PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
    )
