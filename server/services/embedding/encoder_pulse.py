"""Whether the encoder still answers: what was sent to it, and when it last gave a sign of life.

A Triton that hangs keeps its connections open and calls itself ready. What tells it from a busy one
is that nothing at all comes back, of one modality or of both.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from twinshelf.server.encoders.modalities import Pattern
from twinshelf.server.errors import EncoderUnavailableError, TwinshelfError

MODALITIES = (Pattern.IMAGE, Pattern.TEXT)


class EncoderPulse:
    """What is under way at the encoder, by modality. Belongs to one event loop."""

    def __init__(self, stuck_after_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Takes how long silence is no reason to worry.

        Args:
            stuck_after_s: Silence, while something is under way, that means a hang.
            clock: Seconds of a clock that never goes back.
        """
        self._stuck_after_s = stuck_after_s
        self._clock = clock
        self._under_way = dict.fromkeys(MODALITIES, 0)
        self._last_sign_s = dict.fromkeys(MODALITIES, clock())
        self._suspects: set[Pattern] = set()
        self._loss: asyncio.Future[TwinshelfError] | None = None
        self._listeners: list[Callable[[TwinshelfError], None]] = []

    def begin(self, pattern: Pattern) -> None:
        """Notes that something was sent."""
        for modality in _modalities(pattern):
            if self._under_way[modality] == 0:
                self._last_sign_s[modality] = self._clock()
            self._under_way[modality] += 1

    def end(self, pattern: Pattern, *, is_answered: bool = True) -> None:
        """Notes that nothing more will come.

        Args:
            pattern: What was sent.
            is_answered: Whether the encoder answered, be it by a refusal. That it failed is no sign
                of life: a Triton whose process is frozen says so after a second.
        """
        for modality in _modalities(pattern):
            self._under_way[modality] -= 1
            if is_answered:
                self._last_sign_s[modality] = self._clock()
            else:
                self._suspects.add(modality)

    def take_suspects(self) -> set[Pattern]:
        """Returns the modalities of which something failed since this was asked last."""
        suspects, self._suspects = self._suspects, set()
        return suspects

    def silence_s(self, modality: Pattern) -> float:
        """Seconds since the last sign of life."""
        return self._clock() - self._last_sign_s[modality]

    def is_under_way(self, modality: Pattern) -> bool:
        """Whether something of the modality is under way."""
        return self._under_way[modality] > 0

    def excuse(self, blind_s: float) -> None:
        """Takes time out of every silence: this process was too busy to hear an answer.

        Args:
            blind_s: Seconds for which it did not come to look.
        """
        for modality in MODALITIES:
            self._last_sign_s[modality] = min(self._last_sign_s[modality] + blind_s, self._clock())

    def find_hang(self) -> EncoderUnavailableError | None:
        """Returns the error of an encoder that hangs; None while it does not."""
        for modality in MODALITIES:
            silence_s = self.silence_s(modality)
            if self.is_under_way(modality) and silence_s > self._stuck_after_s:
                return EncoderUnavailableError(
                    f"the encoder is stuck: no {modality.key} was answered for {silence_s:.1f} s "
                    f"({self._under_way[modality]} under way); repeat the request later"
                )
        return None

    # Those who wait for an answer hear of a loss at once.

    @property
    def loss(self) -> asyncio.Future[TwinshelfError]:
        """Is done, with the reason, from when the encoder is lost until it is back."""
        if self._loss is None:
            self._loss = asyncio.get_running_loop().create_future()
        return self._loss

    def listen(self, listener: Callable[[TwinshelfError], None]) -> None:
        """Lets something be called, with the reason, whenever the encoder is lost."""
        self._listeners.append(listener)

    def lose(self, error: TwinshelfError) -> None:
        """Tells all who wait that the encoder is lost."""
        if not self.loss.done():
            self.loss.set_result(error)
            for listener in self._listeners:
                listener(error)

    def recover(self) -> None:
        """Notes that the encoder is back."""
        if self.loss.done():
            self._loss = None

    def check(self) -> None:
        """Refuses at once what would only wait.

        Raises:
            TwinshelfError: If the encoder is lost; says why.
        """
        if self.loss.done():
            raise fresh(self.loss.result())


def fresh(error: TwinshelfError) -> TwinshelfError:
    """Returns a copy to raise: a raised error gathers the tracebacks of all who raise it."""
    copied = type(error).__new__(type(error), *error.args)
    copied.__dict__.update(error.__dict__)
    return copied


def _modalities(pattern: Pattern) -> tuple[Pattern, ...]:
    return tuple(modality for modality in MODALITIES if modality & pattern)
