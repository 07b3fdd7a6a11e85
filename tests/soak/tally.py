"""What became of many calls, and why some were wrong."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field

from tests.soak.report import quantile_ms

KEPT_REASONS = 20


@dataclass(slots=True)
class Tally:
    """Counts of calls; safe to share between threads.

    Attributes:
        good_count: Good ones, rightly answered.
        refused: Broken ones, refused, by code.
        odd_count: Odd ones, answered as they may be.
        shed_count: Refused for want of room.
        lost_count: Never answered in time, or the server was gone.
        wrong_count: Broken ones answered, good ones refused or answered otherwise than alone.
        reasons: Some of what was lost or wrong, in words.
    """

    good_count: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    odd_count: int = 0
    shed_count: int = 0
    lost_count: int = 0
    wrong_count: int = 0
    reasons: list[str] = field(default_factory=list)
    latencies_s: list[float] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def is_flawless(self) -> bool:
        """Whether nothing was lost or wrong, and next to nothing shed."""
        all_ = self.good_count + sum(self.refused.values()) + self.odd_count
        return not self.lost_count and not self.wrong_count and self.shed_count <= all_ / 100

    def good(self) -> None:
        """Counts a good offer that was rightly answered."""
        with self.lock:
            self.good_count += 1

    def odd(self) -> None:
        """Counts an odd offer that was answered."""
        with self.lock:
            self.odd_count += 1

    def refuse(self, code: str) -> None:
        """Counts a broken offer that was refused."""
        with self.lock:
            self.refused[code] += 1

    def shed(self, count: int = 1) -> None:
        """Counts offers that were refused for want of room."""
        with self.lock:
            self.shed_count += count

    def lose(self, reason: str) -> None:
        """Counts a call that was not answered."""
        with self.lock:
            self.lost_count += 1
            self._keep(f"lost: {reason}")

    def wrong(self, reason: str) -> None:
        """Counts a call that was answered wrongly."""
        with self.lock:
            self.wrong_count += 1
            self._keep(f"wrong: {reason}")

    def took(self, latency_s: float) -> None:
        """Takes how long a call took."""
        with self.lock:
            self.latencies_s.append(latency_s)

    def as_document(self) -> dict[str, object]:
        """Returns the counts."""
        return {
            "good": self.good_count,
            "refused": dict(self.refused),
            "odd": self.odd_count,
            "shed": self.shed_count,
            "lost": self.lost_count,
            "wrong": self.wrong_count,
            "p50_ms": quantile_ms(self.latencies_s, 0.5),
            "p99_ms": quantile_ms(self.latencies_s, 0.99),
            "reasons": self.reasons,
        }

    def _keep(self, reason: str) -> None:
        if len(self.reasons) < KEPT_REASONS:
            self.reasons.append(reason)
