"""Refusing calls before anything of them is looked at.

Under overload most calls end here, and what a refusal costs is taken from those that are answered:
so a refusal is made once and serves all that come within a few thousandths of a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import grpc

from twinshelf.server.errors import DeadlineTooShortError, TwinshelfError
from twinshelf.server.services.calls.call_observer import CallObserver
from twinshelf.server.services.calls.statuses import STATUS_DETAILS_KEY, status_of

_LIFE_S: Final = 0.005
_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}


class Door:
    """The way in of one method. Belongs to one event loop."""

    def __init__(
        self,
        *,
        method: str,
        expect_answer_s: Callable[[], float],
        observer: CallObserver,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Takes how to know whether a call has a chance.

        Args:
            method: Path of the method.
            expect_answer_s: Returns the seconds until a call that comes now would be answered;
                raises a `TwinshelfError` when none would be let in.
            observer: Told of every refusal.
            clock: Seconds of a clock that never goes back.
        """
        self._method = method
        self._expect_answer_s = expect_answer_s
        self._observer = observer
        self._clock = clock
        self._state = _State(end_s=0.0)

    def refuse(self) -> Refusal | None:
        """Returns how to refuse a call whose deadline is not known yet; None lets it in."""
        state = self._now()
        return None if state.refusal is None else self._counted(state.refusal)

    def refuse_late(self, remaining_s: float | None) -> Refusal | None:
        """Returns how to refuse a call that would be answered too late; None lets it in.

        Args:
            remaining_s: Until the caller's deadline; None without one.
        """
        state = self._now()
        # Whoever has no time left is refused though the encoder is idle: nobody waits any more.
        if state.refusal is None and (remaining_s is None or remaining_s > state.answer_s):
            return None
        if state.late is None:
            state.late = Refusal(
                DeadlineTooShortError(
                    f"the answer would take about {state.answer_s:.2f} s, longer than the deadline "
                    "of the request leaves; allow more time",
                    retry_after_s=max(state.answer_s, 10 * _LIFE_S),
                )
            )
        return self._counted(state.refusal or state.late)

    def _counted(self, refusal: Refusal) -> Refusal:
        self._observer.turned_away(self._method, refusal.error)
        return refusal

    def _now(self) -> _State:
        now_s = self._clock()
        if now_s >= self._state.end_s:
            self._state = _State(end_s=now_s + _LIFE_S)
            try:
                self._state.answer_s = self._expect_answer_s()
            except TwinshelfError as error:
                self._state.refusal = Refusal(error)
        return self._state


class Refusal:
    """An error as the end of any number of calls; the status has no request id."""

    def __init__(self, error: TwinshelfError) -> None:
        """Takes the reason."""
        status = status_of(error, "")
        self.error = error
        self._code, self._message = _CODES[status.code], status.message
        self._metadata = ((STATUS_DETAILS_KEY, status.SerializeToString()),)
        self.handler: grpc.RpcMethodHandler[Any, Any] = grpc.stream_stream_rpc_method_handler(
            self._end_unread
        )

    def end(self, context: grpc.aio.ServicerContext) -> None:
        """Sets the status of a call; to abort would raise, which takes longer."""
        context.set_code(self._code)
        context.set_details(self._message)
        context.set_trailing_metadata(self._metadata)

    async def _end_unread(self, _: Any, context: grpc.aio.ServicerContext) -> None:
        self.end(context)


@dataclass(slots=True, kw_only=True)
class _State:
    """What holds until `end_s`."""

    end_s: float
    answer_s: float = 0.0
    refusal: Refusal | None = None
    late: Refusal | None = None
