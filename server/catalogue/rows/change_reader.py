"""Reading what changed since: the last change of each product, and the deletions."""

from __future__ import annotations

import sqlite3

from twinshelf.server.catalogue.product_record import ProductChange, StoredProduct
from twinshelf.server.catalogue.rows.connections import one_moment
from twinshelf.server.catalogue.rows.file_guard import FileGuard
from twinshelf.server.catalogue.rows.stored_rows import (
    CHANGE_PROBLEM,
    EMBEDDED_COLUMNS,
    PRODUCT_TABLES,
    product_from_embedded,
)
from twinshelf.server.errors import CatalogueDamagedError, ChangesForgottenError


def read_changes(
    reader: sqlite3.Connection, guard: FileGuard, sequence: int, count: int, whole_until: int
) -> list[ProductChange]:
    """Returns up to `count` changes after one, by rising sequence, all of one moment.

    Args:
        reader: A connection.
        guard: Sets damaged products aside.
        sequence: The last change that is known; 0 tells every product there is.
        count: Most changes.
        whole_until: The last change when the caller began from 0: it has not heard of what was
            deleted before.

    Raises:
        ChangesForgottenError: If there may have been others.
    """
    with one_moment(reader):  # else a deletion could be passed over between the two tables
        last, forgotten = reader.execute(
            "SELECT change_sequence, forgotten_sequence FROM catalogue_state"
        ).fetchone()
        _check_known(sequence, last, forgotten if forgotten > whole_until else 0)
        changes = _read_deletions(reader, sequence, count)
        changes += _read_writes(reader, guard, sequence, count)
    changes.sort(key=lambda change: change.sequence)
    return changes[:count]


def _check_known(sequence: int, last: int, forgotten: int) -> None:
    if sequence > last:
        problem = f"the last change of this catalogue is {last}; it was restored or replaced"
    elif 0 < sequence < forgotten:
        problem = f"deletions up to change {forgotten} are no longer known"
    else:
        return
    raise ChangesForgottenError(
        f"changes after {sequence} cannot be told: {problem}. Begin again from 0 with an empty "
        "copy",
        facts={"from_sequence": "0", "last_sequence": str(last)},
    )


def _read_deletions(reader: sqlite3.Connection, sequence: int, count: int) -> list[ProductChange]:
    rows = reader.execute(
        "SELECT change_sequence, product_id FROM deletions "
        "WHERE change_sequence > ? ORDER BY change_sequence LIMIT ?",
        (sequence, count),
    )
    return [
        ProductChange(sequence=number, product_id=product_id, is_deletion=True, product=None)
        for number, product_id in rows
    ]


def _read_writes(
    reader: sqlite3.Connection, guard: FileGuard, sequence: int, count: int
) -> list[ProductChange]:
    rows = reader.execute(
        f"SELECT p.change_sequence, p.product_number, {EMBEDDED_COLUMNS} FROM {PRODUCT_TABLES} "
        "WHERE p.change_sequence > ? ORDER BY p.change_sequence LIMIT ?",
        (sequence, count),
    )
    changes = []
    for number, product_number, *fields in rows:
        if not isinstance(number, int):
            guard.set_aside(product_number, CHANGE_PROBLEM)
            continue
        product: StoredProduct | None = None
        try:
            product = product_from_embedded(fields)
        except CatalogueDamagedError as error:
            guard.set_aside(product_number, error.message)
        changes.append(
            ProductChange(sequence=number, product_id=fields[0], is_deletion=False, product=product)
        )
    return changes
