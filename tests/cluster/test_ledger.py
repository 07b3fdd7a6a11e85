"""The ledger knows what must be found, whatever became of the calls."""

from __future__ import annotations

from tests.cluster.ledger import Ledger


def test_what_was_acknowledged_must_be_there() -> None:
    ledger = Ledger({"made": "old"})
    for title in ("first", "second"):
        ledger.attempt("a", title)
        ledger.acknowledge("a", title)
    assert ledger.losses({"made": "old", "a": "second"}) == []
    assert len(ledger.losses({"made": "old", "a": "first"})) == 1
    assert len(ledger.losses({"a": "second"})) == 1
    assert ledger.acknowledged_count == 2
    assert ledger.written == {"a": "second"}


def test_what_was_only_tried_may_be_there_or_not() -> None:
    ledger = Ledger({})
    ledger.attempt("a", "first")
    assert ledger.losses({}) == ledger.losses({"a": "first"}) == []
    ledger.acknowledge("a", "first")
    ledger.attempt("a", None)
    assert ledger.losses({}) == ledger.losses({"a": "first"}) == []
    assert len(ledger.losses({"a": "other"})) == 1
    assert ledger.written == {}


def test_what_was_removed_must_be_gone() -> None:
    ledger = Ledger({"made": "old"})
    ledger.attempt("made", None)
    ledger.acknowledge("made", None)
    assert ledger.losses({}) == []
    assert len(ledger.losses({"made": "old"})) == 1


def test_what_nobody_wrote_must_not_be_there() -> None:
    assert Ledger({}).losses({"a": "first"}) == ["a: nobody wrote it"]
