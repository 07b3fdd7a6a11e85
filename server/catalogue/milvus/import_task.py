"""What became of a file that Milvus is to import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self


class BulkImportError(Exception):
    """Rows cannot be imported; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportTask:
    """A file that Milvus imports.

    Attributes:
        is_completed: Whether it is all there, though queries may not show it yet.
        is_failed: Whether nothing of it is, nor will be.
        reason: Why it failed; empty when it did not.
    """

    is_completed: bool
    is_failed: bool
    reason: str

    @classmethod
    def of(cls, state: Any) -> Self:
        """Reads what the client of Milvus returned."""
        return cls(
            is_completed=state.state == state.ImportCompleted,
            is_failed=state.state in (state.ImportFailed, state.ImportFailedAndCleaned),
            reason=state.failed_reason,
        )
