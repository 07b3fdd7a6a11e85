"""Figures of a fault follow from the calls that were answered."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.cluster.findings import Phase, as_table, broken_promises, look
from tests.cluster.traffic import Call, Kind

CALLS = [
    Call(kind="match", begun_s=9.8, ended_s=9.9),
    Call(kind="match", begun_s=10.3, ended_s=10.5),
    Call(kind="match", begun_s=11.0, ended_s=13.0),
    Call(kind="match", begun_s=28.9, ended_s=29.0),
    Call(kind="write", begun_s=27.0, ended_s=28.0),
    Call(kind="match", begun_s=22.0, ended_s=31.0),
]


def phase(**failures: int) -> Phase:
    return Phase(name="Triton", begun_s=10.0, ended_s=30.0, failures=Counter(failures))


def broken(**changes: object) -> list[str]:
    none: dict[str, object] = {"wrong": [], "given_up": Counter(), "losses": []}
    return broken_promises(CALLS, [phase(UNAVAILABLE=3)], **(none | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "answer_count", "gap_ms", "longest_ms"),
    [("match", 3, 16_000, 2000), ("write", 1, 18_000, 1000)],
)
def test_a_gap_is_the_longest_time_without_an_answer(
    kind: Kind, answer_count: int, gap_ms: float, longest_ms: float
) -> None:
    sight = look(CALLS, phase(), kind)
    assert sight.answer_count == answer_count
    assert (sight.gap_ms, sight.longest_ms) == pytest.approx((gap_ms, longest_ms))
    assert sight.is_over


def test_a_fault_is_not_over_while_nothing_is_answered() -> None:
    early = Phase(name="Triton", begun_s=10.0, ended_s=40.0, failures=Counter())
    assert not look(CALLS[:3], early, "match").is_over
    assert not look([], phase(), "write").is_over


def test_kept_promises_break_nothing() -> None:
    assert broken() == []
    assert "UNAVAILABLE 3" in as_table(CALLS, [phase(UNAVAILABLE=3)])


def test_every_broken_promise_is_told() -> None:
    assert broken(wrong=["red: a, not b"]) == ["wrong answer: red: a, not b"]
    assert broken(given_up=Counter(UNAVAILABLE=2)) == ["2 calls failed for good: UNAVAILABLE"]
    lost = broken(losses=[f"p{number}: gone" for number in range(7)])
    assert lost[0] == "lost write: p0: gone" and lost[-1] == "lost write: 2 more"
    said = broken_promises([], [phase(INTERNAL=1)], wrong=[], given_up=Counter(), losses=[])
    assert len(said) == 3 and "INTERNAL" in said[0]
