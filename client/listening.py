"""How long a stream waits for its next answer, and what it makes of what comes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Generic

import grpc

from twinshelf.client.errors import DeadlineError, ServiceError, TwinshelfError
from twinshelf.client.streams import Answer, Row, StreamRows

# Stands behind the last response of a stream that ended well.
END = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """How long to wait for the next response.

    Attributes:
        seconds: The time, zero or more.
        ends_in_repeat: Whether a row is due to be sent again after it; else, the service has been
            silent for too long.
    """

    seconds: float
    ends_in_repeat: bool


class Listening(Generic[Row, Answer]):
    """The listening side of one two-way stream; it does no input or output itself."""

    def __init__(self, rows: StreamRows[Row, Answer], *, address: str, timeout_s: float) -> None:
        """Starts the clock.

        Args:
            rows: Keeps the books.
            address: Where the stream goes, for messages.
            timeout_s: Longest silence while answers are owed, seconds.
        """
        self.rows: StreamRows[Row, Answer] = rows
        self.address = address
        self.timeout_s = timeout_s
        self.start_silence()

    def start_silence(self) -> None:
        """Counts silence from now on: something was heard, or nothing was owed until now."""
        self._heard_at_s = time.monotonic()

    def next_wait(self) -> Wait:
        """Returns how long to wait for a response, while any row is unanswered."""
        now_s = time.monotonic()
        silence_left_s = self._heard_at_s + self.timeout_s - now_s
        waits = [silence_left_s] if self.rows.has_unanswered else []
        due_s = self.rows.next_due_s(now_s)
        waits += [] if due_s is None else [due_s]
        return Wait(seconds=max(0.0, min(waits)), ends_in_repeat=due_s == min(waits))

    def take(self, response: Any) -> Answer | None:
        """Takes what came; returns the answer of a row, or None when the row will be sent again.

        Args:
            response: A response, `END`, or the error that the stream ended with.

        Raises:
            TwinshelfError: If the stream ended and owed answers.
            grpc.RpcError: If it broke.
        """
        self.start_silence()
        if response is END:
            raise ServiceError(
                f"{self.address} ended the stream without an answer to every row",
                code=grpc.StatusCode.INTERNAL,
            )
        if isinstance(response, grpc.RpcError):
            raise response
        return self.rows.answered(response, self._heard_at_s)

    def silence_error(self) -> TwinshelfError:
        """Makes the error of a stream that was silent for too long."""
        return DeadlineError(
            f"{self.address} answered none of the rows sent to it for {self.timeout_s:g} s",
            code=grpc.StatusCode.DEADLINE_EXCEEDED,
        )
