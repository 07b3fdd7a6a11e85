"""The tables of groups in the SQLite file of the catalogue.

What a write means for groups is noted by triggers, in the transaction of the write: a crash between
the write and its grouping loses nothing. There is one note for each product at most.
"""

MEMBER_FIELDS = "product_number, product_id, group_number, is_pinned"
EVENT_FIELDS = (
    "event_number, time_us, kind, source, target, product_ids, pinned_ids, is_by_hand, undoes, "
    "undone_by"
)


def _checksum_of(fields: str) -> str:
    # Of the bytes of a text: one that is damaged need not be UTF-8, which SQLite cannot hand over.
    for text in ("product_id", "product_ids", "pinned_ids"):
        fields = fields.replace(f"{text},", f"CAST({text} AS BLOB),")
    return f"row_checksum({fields})"


# Whose rows have checksums, and what these are of.
CHECKSUMS = {
    "group_members": _checksum_of(MEMBER_FIELDS),
    "group_neighbours": _checksum_of("product_number, pattern, neighbours"),
    "group_events": _checksum_of(EVENT_FIELDS),
}
# What is found anew once it is damaged. A damaged event is told as such to who asks for it.
RENEWABLE_TABLES = ("group_members", "group_neighbours")
# In place of a table: a damaged row is seen by nobody, so that its product is alone, or lacks
# neighbours, until a check of the file finds it and it is grouped anew.
WHOLE_MEMBERS, WHOLE_NEIGHBOURS = (
    f"(SELECT * FROM {table} WHERE checksum = {CHECKSUMS[table]})" for table in RENEWABLE_TABLES
)
# Those of version 2 of the schema.
GROUP_TABLES = """
-- mark: a product that changes again while it is being grouped gets a new one, so that it is not
-- forgotten.
-- is_changed: whether its vector is new; otherwise only its neighbours are looked for anew.
CREATE TABLE group_pending (
    mark INTEGER PRIMARY KEY AUTOINCREMENT,
    product_number INTEGER NOT NULL UNIQUE,
    is_changed INTEGER NOT NULL
) STRICT;

CREATE TRIGGER group_pending_on_insert AFTER INSERT ON product_vectors BEGIN
    INSERT OR REPLACE INTO group_pending (product_number, is_changed)
        VALUES (NEW.product_number, 1);
END;
CREATE TRIGGER group_pending_on_update AFTER UPDATE OF vector_version ON product_vectors BEGIN
    INSERT OR REPLACE INTO group_pending (product_number, is_changed)
        VALUES (NEW.product_number, 1);
END;
-- Of products that were never grouped nothing is left, so that notes do not pile up for ever where
-- nobody groups.
CREATE TRIGGER group_pending_on_delete AFTER DELETE ON product_vectors BEGIN
    DELETE FROM group_pending WHERE product_number = OLD.product_number;
    INSERT INTO group_pending (product_number, is_changed) SELECT OLD.product_number, 1
        WHERE EXISTS (SELECT 1 FROM group_neighbours WHERE product_number = OLD.product_number)
        OR EXISTS (SELECT 1 FROM group_members WHERE product_number = OLD.product_number);
END;

-- Nearest first: number of the other product (int64) and score (float64), one after the other.
CREATE TABLE group_neighbours (
    product_number INTEGER NOT NULL,
    pattern INTEGER NOT NULL,
    neighbours BLOB NOT NULL,
    PRIMARY KEY (product_number, pattern)
) STRICT, WITHOUT ROWID;

-- Products that are alone stand in no group. No reference to the products: a member that was
-- deleted stays until its group has learnt of it.
-- is_pinned: how many events by hand pin it; 0 leaves it to the machine.
CREATE TABLE group_members (
    product_number INTEGER PRIMARY KEY,
    product_id TEXT NOT NULL,
    group_number INTEGER NOT NULL REFERENCES group_events,
    is_pinned INTEGER NOT NULL
) STRICT;
CREATE INDEX group_members_by_group ON group_members (group_number, product_number);

-- The journal. A group bears the number of the event that started it.
CREATE TABLE group_events (
    event_number INTEGER PRIMARY KEY AUTOINCREMENT,
    time_us INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    source INTEGER,
    target INTEGER,
    product_ids TEXT NOT NULL,
    pinned_ids TEXT NOT NULL,
    is_by_hand INTEGER NOT NULL,
    undoes INTEGER,
    undone_by INTEGER
) STRICT;
CREATE INDEX group_events_by_source ON group_events (source, event_number);
CREATE INDEX group_events_by_target ON group_events (target, event_number);

-- basis: what the neighbours were chosen by; all are chosen anew when it changes.
CREATE TABLE group_state (basis TEXT NOT NULL) STRICT;
INSERT INTO group_state VALUES ('');
"""
