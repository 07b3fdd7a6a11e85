"""Pairs that people judge by eye, and what they said: one SQLite file, for several at once.

A pair is handed to one person at a time. It comes back to the others when that person does not
answer within the time of a hold. What the page knows people by, which lets in whoever has it, is
not in the file: only a name that is made of it.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from twinshelf.client.records import Product

HOLD_S: Final = 1800.0
Verdict = Literal["same", "different", "unsure"]
VERDICTS: Final[tuple[Verdict, ...]] = ("same", "different", "unsure")
_FIELDS: Final = tuple(
    "product_id title description category brand seller price image_uri pattern".split()
)
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS pairs (
    pair_id INTEGER PRIMARY KEY,
    left_key TEXT NOT NULL,
    right_key TEXT NOT NULL,
    left_record TEXT NOT NULL,
    right_record TEXT NOT NULL,
    score REAL NOT NULL,
    probability REAL NOT NULL,
    place REAL NOT NULL,
    holder TEXT NOT NULL DEFAULT '',
    held_until REAL NOT NULL DEFAULT 0,
    verdict TEXT NOT NULL DEFAULT '',
    judged_by TEXT NOT NULL DEFAULT '',
    judged_at REAL NOT NULL DEFAULT 0,
    UNIQUE (left_key, right_key)
) STRICT;
CREATE INDEX IF NOT EXISTS open_pairs ON pairs (place) WHERE verdict = '';
CREATE INDEX IF NOT EXISTS judged_pairs ON pairs (judged_by, judged_at) WHERE verdict != '';
CREATE TABLE IF NOT EXISTS places (name TEXT PRIMARY KEY, token TEXT NOT NULL) STRICT;
"""
# Files of version 0 name people as the page does.
_VERSION: Final = 1
_COLUMNS: Final = (
    "pair_id, left_key, right_key, left_record, right_record, score, probability, verdict, "
    "judged_by, judged_at"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidatePair:
    """Two records that may be the same item.

    Attributes:
        left_key: What tells the left record from all others: the content of its file, or the
            catalogue, and its id.
        right_key: The same of the right one.
        left: The left record.
        right: The right record.
        score: How alike the service found them, -1 to 1.
        probability: That they are the same item, 0 to 1, by the service.
    """

    left_key: str
    right_key: str
    left: Product
    right: Product
    score: float
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedPair:
    """A pair, and what somebody said of it.

    Attributes:
        pair_id: Its number.
        left_key: What tells the left record from all others.
        right_key: The same of the right one.
        left: The left record.
        right: The right record.
        score: How alike the service found them, -1 to 1.
        probability: That they are the same item, 0 to 1, by the service.
        verdict: What was said; empty when nobody has said anything.
        judged_by: Who said it; a name that leads nowhere.
        judged_at_s: When, Unix seconds.
    """

    pair_id: int
    left_key: str
    right_key: str
    left: Product
    right: Product
    score: float
    probability: float
    verdict: str
    judged_by: str
    judged_at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgementCounts:
    """How far the judging is.

    Attributes:
        open_count: Pairs that nobody has judged.
        same_count: Pairs judged to be the same item.
        different_count: Pairs judged not to be.
        unsure_count: Pairs that somebody could not tell.
    """

    open_count: int
    same_count: int
    different_count: int
    unsure_count: int


class Judgements:
    """The pairs of one file; its methods may be called from any thread and any process."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        """Makes the file when it is missing.

        Args:
            path: The SQLite file.
            clock: Tells the time, Unix seconds.

        Raises:
            ValueError: If it is no such file, or cannot be made.
        """
        self._path = path
        self._clock = clock
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)  # SQLite gives its other files the mode of this one
            with self._open() as database:
                database.execute("PRAGMA journal_mode = WAL")
                database.executescript(_SCHEMA)
            self._rename_reviewers()
        except (sqlite3.Error, OSError) as error:
            raise ValueError(f"{path} cannot be used for judgements: {error}") from None

    def add(self, pairs: Iterable[CandidatePair]) -> int:
        """Adds pairs that are not there yet, in whichever order; returns how many were new."""
        rows = [_ordered(pair) for pair in pairs]
        with self._changing() as database:
            before = database.total_changes
            database.executemany(
                "INSERT OR IGNORE INTO pairs (left_key, right_key, left_record, right_record, "
                "score, probability, place) VALUES (?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
            return database.total_changes - before

    def next_pair(self, reviewer: str) -> JudgedPair | None:
        """Hands out a pair: the one that the reviewer holds, else the free one that stands first.

        Args:
            reviewer: Who asks; nobody else gets this pair while it is held.
        """
        now_s, name = self._clock(), _name_of(reviewer)
        with self._changing() as database:
            row = database.execute(
                f"SELECT {_COLUMNS} FROM pairs WHERE verdict = '' AND holder = ? "
                "ORDER BY held_until DESC LIMIT 1",
                (name,),
            ).fetchone()
            if row is None:
                row = database.execute(
                    f"SELECT {_COLUMNS} FROM pairs WHERE verdict = '' AND held_until <= ? "
                    "ORDER BY place LIMIT 1",
                    (now_s,),
                ).fetchone()
            if row is None:
                return None
            database.execute(
                "UPDATE pairs SET holder = ?, held_until = ? WHERE pair_id = ?",
                (name, now_s + HOLD_S, row[0]),
            )
        return _pair(row)

    def judge(self, pair_id: int, reviewer: str, verdict: Verdict) -> bool:
        """Keeps what a reviewer said; returns False when somebody else has the pair by now.

        Args:
            pair_id: Number of the pair.
            reviewer: Who holds it.
            verdict: What was said.
        """
        name = _name_of(reviewer)
        with self._changing() as database:
            changed = database.execute(
                "UPDATE pairs SET verdict = ?, judged_by = ?, judged_at = ?, holder = '', "
                "held_until = 0 WHERE pair_id = ? AND verdict = '' AND holder = ?",
                (verdict, name, self._clock(), pair_id, name),
            )
            return changed.rowcount == 1

    def undo(self, reviewer: str) -> bool:
        """Takes the last judgement of a reviewer back, who holds the pair again.

        Args:
            reviewer: Who said it.

        Returns:
            Whether there was one.
        """
        name = _name_of(reviewer)
        with self._changing() as database:
            changed = database.execute(
                "UPDATE pairs SET verdict = '', judged_by = '', judged_at = 0, holder = ?, "
                "held_until = ? WHERE pair_id = (SELECT pair_id FROM pairs WHERE verdict != '' "
                "AND judged_by = ? ORDER BY judged_at DESC, pair_id DESC LIMIT 1)",
                # Longer than any other hold, so that this pair is shown next.
                (name, self._clock() + 2 * HOLD_S, name),
            )
            return changed.rowcount == 1

    def counts(self) -> JudgementCounts:
        """Counts the pairs by what was said."""
        with self._open() as database:
            found = dict(database.execute("SELECT verdict, count(*) FROM pairs GROUP BY verdict"))
        return JudgementCounts(
            open_count=found.get("", 0),
            same_count=found.get("same", 0),
            different_count=found.get("different", 0),
            unsure_count=found.get("unsure", 0),
        )

    def judged(self) -> Iterator[JudgedPair]:
        """Yields the judged pairs in the order in which they were judged."""
        with self._open() as database:
            for row in database.execute(
                f"SELECT {_COLUMNS} FROM pairs WHERE verdict != '' ORDER BY judged_at, pair_id"
            ):
                yield _pair(row)

    def place(self, name: str) -> str:
        """Returns where a reader of a catalogue stopped; empty at the beginning."""
        with self._open() as database:
            row = database.execute("SELECT token FROM places WHERE name = ?", (name,)).fetchone()
        return row[0] if row else ""

    def keep_place(self, name: str, token: str) -> None:
        """Keeps where a reader of a catalogue stopped."""
        with self._changing() as database:
            database.execute("INSERT OR REPLACE INTO places VALUES (?, ?)", (name, token))

    def _rename_reviewers(self) -> None:
        """Names the reviewers of an old file as they are named now, and closes it to others."""
        with self._changing() as database:
            if database.execute("PRAGMA user_version").fetchone()[0] >= _VERSION:
                return
            self._path.chmod(0o600)
            database.create_function("name_of", 1, _name_of, deterministic=True)
            for column in ("holder", "judged_by"):
                database.execute(
                    f"UPDATE pairs SET {column} = name_of({column}) WHERE {column} != ''"
                )
            database.execute(f"PRAGMA user_version = {_VERSION}")
        with self._open() as database:
            database.execute("VACUUM")  # the old names still stand where nothing is kept any more

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(
            sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        ) as database:
            yield database

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """Gives the file to one at a time, so that no two are handed the same pair."""
        with self._open() as database:
            database.execute("BEGIN IMMEDIATE")
            yield database
            database.execute("COMMIT")  # an error closes it, which takes all back


def _name_of(reviewer: str) -> str:
    return hashlib.sha256(f"reviewer{reviewer}".encode()).hexdigest()[:16]


def _ordered(pair: CandidatePair) -> tuple[str | float, ...]:
    place = abs(pair.probability - 0.5)  # the most uncertain pairs come first
    sides = [(pair.left_key, _record(pair.left)), (pair.right_key, _record(pair.right))]
    (left_key, left), (right_key, right) = sides if pair.left_key <= pair.right_key else sides[::-1]
    return (left_key, right_key, left, right, pair.score, pair.probability, place)


def _record(product: Product) -> str:
    value = {name: getattr(product, name) for name in _FIELDS}
    return json.dumps(value | {"attributes": dict(product.attributes)}, ensure_ascii=False)


def _pair(row: tuple[int, str, str, str, str, float, float, str, str, float]) -> JudgedPair:
    (
        pair_id,
        left_key,
        right_key,
        left,
        right,
        score,
        probability,
        verdict,
        judged_by,
        judged_at_s,
    ) = row
    return JudgedPair(
        pair_id=pair_id,
        left_key=left_key,
        right_key=right_key,
        left=Product(**json.loads(left)),
        right=Product(**json.loads(right)),
        score=score,
        probability=probability,
        verdict=verdict,
        judged_by=judged_by,
        judged_at_s=judged_at_s,
    )
