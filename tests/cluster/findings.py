"""What callers saw of each fault, as figures, and what of it breaks a promise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from tests.cluster.traffic import Call, Kind
from tests.soak import report

# Before the end of a phase callers must have been answered again.
_LAST_S: Final = 20.0
_SHOWN_COUNT: Final = 5
_COLUMNS: Final = (
    "killed",
    "matches",
    "gap ms",
    "longest",
    "writes",
    "gap ms",
    "longest",
    "repeated",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A stretch of time under load.

    Attributes:
        name: What was killed in its first moment.
        begun_s: When it began, by the monotonic clock.
        ended_s: When it ended.
        failures: Attempts that failed in it, by status.
    """

    name: str
    begun_s: float
    ended_s: float
    failures: Counter[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What callers of one kind saw in a phase.

    Attributes:
        answer_count: Right answers.
        gap_ms: Longest time without one.
        longest_ms: Longest call that ended in it, repeats included; 0 without any.
        is_over: Whether answers came in its last seconds.
    """

    answer_count: int
    gap_ms: float
    longest_ms: float
    is_over: bool


def look(calls: Sequence[Call], phase: Phase, kind: Kind) -> Sight:
    """Returns what callers of a kind saw in a phase."""
    seen = [c for c in calls if c.kind == kind and phase.begun_s <= c.ended_s <= phase.ended_s]
    ends = sorted(call.ended_s for call in seen)
    moments = [phase.begun_s, *ends, phase.ended_s]
    return Sight(
        answer_count=len(seen),
        gap_ms=1e3 * float(np.diff(moments).max()),
        longest_ms=1e3 * max((c.ended_s - c.begun_s for c in seen), default=0.0),
        is_over=bool(ends) and ends[-1] > phase.ended_s - _LAST_S,
    )


def as_table(calls: Sequence[Call], phases: Sequence[Phase]) -> str:
    """Returns the figures of all phases."""
    rows = []
    for phase in phases:
        row: list[object] = [phase.name]
        for kind in ("match", "write"):
            sight = look(calls, phase, kind)
            row += [sight.answer_count, f"{sight.gap_ms:.0f}", f"{sight.longest_ms:.0f}"]
        row.append(" ".join(f"{code} {count}" for code, count in phase.failures.items()))
        rows.append(row)
    return report.table("what callers saw", _COLUMNS, rows)


def broken_promises(
    calls: Sequence[Call],
    phases: Sequence[Phase],
    *,
    wrong: Sequence[str],
    given_up: Counter[str],
    losses: Sequence[str],
) -> list[str]:
    """Returns a sentence for each promise that was broken.

    Args:
        calls: What was answered rightly.
        phases: The stretches of time.
        wrong: Wrong answers, in words.
        given_up: Calls that failed for good, by status.
        losses: Products that are not as they were acknowledged, in words.
    """
    said = _some("wrong answer", wrong) + _some("lost write", losses)
    said += [f"{count} calls failed for good: {code}" for code, count in given_up.items()]
    for phase in phases:
        said += [
            f"{phase.name}: {count} attempts were answered {code}, not UNAVAILABLE"
            for code, count in phase.failures.items()
            if code != "UNAVAILABLE"
        ]
        for kind in ("match", "write"):
            if not look(calls, phase, kind).is_over:
                said.append(f"{phase.name}: no {kind} was answered in the last {_LAST_S:.0f} s")
    return said


def _some(kind: str, sentences: Sequence[str]) -> list[str]:
    left_count = len(sentences) - _SHOWN_COUNT
    said = [f"{kind}: {each}" for each in sentences[:_SHOWN_COUNT]]
    return said + ([f"{kind}: {left_count} more"] if left_count > 0 else [])
