"""Progress over the rows of a file: a bar on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

LINE_EVERY_S = 5.0


class RowProgress:
    """Counts rows and shows how many are done."""

    def __init__(self, console: Console, name: str, row_count: int, done_count: int = 0) -> None:
        """Begins to show.

        Args:
            console: Where to; never standard output, which is for the result.
            name: What is read.
            row_count: Rows that there are.
            done_count: Rows that an earlier run has done.
        """
        self._console = console
        self._name = name
        self._row_count = row_count
        self._done_count = done_count
        self._start_count = done_count
        self._start_s = self._line_s = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            # As wide as the terminal: of a line that it folds it leaves the rest behind each time.
            console=Console(file=console.file) if console.is_terminal else console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task(name, total=row_count, completed=done_count)

    def __enter__(self) -> RowProgress:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def advance(self) -> None:
        """Counts one row more."""
        self._done_count += 1
        self._bar.advance(self._task)
        now_s = time.monotonic()
        if not self._console.is_terminal and now_s - self._line_s >= LINE_EVERY_S:
            self._line_s = now_s
            rate = (self._done_count - self._start_count) / (now_s - self._start_s)
            self._console.print(
                f"{self._name}: {self._done_count:,} of {self._row_count:,} rows, {rate:,.0f} a "
                "second"
            )
