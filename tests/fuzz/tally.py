"""What calls over gRPC came to, and which of their answers must not happen."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field


@dataclass(kw_only=True)
class CallTally:
    """Counts answers; may be shared between threads.

    Attributes:
        answers: How often each target answered with each code.
        failures: What must not happen, with the number of the input.
    """

    answers: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[int, str]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, target: str, code: str) -> None:
        """Counts an answer."""
        with self._lock:
            self.answers[f"{target}: {code}"] += 1

    def fail(self, number: int, what: str) -> None:
        """Notes what must not happen."""
        with self._lock:
            self.failures.append((number, what))
