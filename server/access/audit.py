"""The audit log: one JSON line for every write and admin call, with who made it."""

from __future__ import annotations

import asyncio
import json
import logging
import logging.handlers
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import Final

from twinshelf.server.access.caller import caller
from twinshelf.server.access.setup_error import AccessSetupError
from twinshelf.server.errors import reason_of
from twinshelf.server.telemetry.request_context import peer, request_id

FILE_LIMIT_BYTES: Final = 64 * 1024 * 1024
OLD_FILE_COUNT: Final = 16
SHOWN_IDS: Final = 20
LONGEST_ID: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """What was done, or refused.

    Attributes:
        method: Full name of the method.
        outcome: What became of it, in UPPER_SNAKE_CASE: that of a product that was written, such as
            STORED, REPLACED or DELETED, or the reason of the error. Empty while nothing has.
        product_ids: Which products; the first of them are written.
        missing_count: How many of the products were not in the catalogue.
        encoder: Digest or version of the encoder that it was about; empty for none.
    """

    method: str
    outcome: str = ""
    product_ids: Sequence[str] = ()
    missing_count: int = 0
    encoder: str = ""


class AuditLog:
    """Writes entries to a file of its own, or to the ordinary log as `twinshelf.audit`."""

    def __init__(self, path: Path | None = None) -> None:
        """Opens the file; nobody but its owner may read it.

        Args:
            path: The file. At `FILE_LIMIT_BYTES` it is put aside; `OLD_FILE_COUNT` such files are
                kept. None takes the ordinary log.

        Raises:
            AccessSetupError: If the file cannot be opened.
        """
        self._logger = logging.getLogger("twinshelf.audit")
        # Whatever severity the ordinary log begins at: an audit log has no gaps.
        self._logger.setLevel(logging.INFO)
        self._handler: logging.Handler | None = None
        if path is None:
            return
        try:
            self._handler = _PrivateFileHandler(
                path, maxBytes=FILE_LIMIT_BYTES, backupCount=OLD_FILE_COUNT, encoding="utf-8"
            )
        except OSError as error:
            raise AccessSetupError(
                f"the audit log {path} cannot be opened: {error.strerror}"
            ) from None
        self._logger.addHandler(self._handler)
        self._logger.propagate = False

    def record(self, entry: AuditEntry) -> None:
        """Writes one line; who called, and in which request, is known from the context.

        Args:
            entry: What was done.
        """
        known = caller.get()
        line: dict[str, object] = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "key_id": known.key_id if known else "",
            "label": known.label if known else "",
            "peer": peer.get(),
            "request_id": request_id.get(),
            "method": entry.method,
            "outcome": entry.outcome,
        }
        if entry.product_ids:
            line["product_count"] = len(entry.product_ids)
            line["product_ids"] = [each[:LONGEST_ID] for each in entry.product_ids[:SHOWN_IDS]]
            line["missing_count"] = entry.missing_count
        if entry.encoder:
            line["encoder"] = entry.encoder[:LONGEST_ID]
        # Not as a format: ids may hold a percent sign. ASCII keeps line breaks of ids inside.
        self._logger.info("%s", json.dumps(line))

    @contextmanager
    def noting_failure(self, entry: AuditEntry) -> Iterator[None]:
        """Notes what the block fails to do, be it as it was refused; what it does is its to note.

        Args:
            entry: What it is to do.
        """
        try:
            yield
        except asyncio.CancelledError:  # the caller has gone; it may be done all the same
            self.record(replace(entry, outcome="CANCELLED"))
            raise
        except Exception as error:  # a part of it may be done
            self.record(replace(entry, outcome=reason_of(error)))
            raise

    def close(self) -> None:
        """Closes the file; later entries go to the ordinary log."""
        if self._handler is not None:
            self._logger.removeHandler(self._handler)
            self._logger.propagate = True
            self._handler.close()
            self._handler = None


class _PrivateFileHandler(logging.handlers.RotatingFileHandler):
    def _open(self) -> TextIOWrapper:
        def open_private(path: str, flags: int) -> int:
            """Opens a file that nobody but its owner may read."""
            return os.open(path, flags, 0o600)

        return open(  # type: ignore[return-value]
            self.baseFilename, self.mode, encoding=self.encoding, opener=open_private
        )
