"""How many messages are read at once, and how many streams are open."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import Mock

import pytest

from twinshelf.server.access.caller import Caller, caller
from twinshelf.server.access.scopes import Scope
from twinshelf.server.errors import ServerBusyError, TooManyBytesError
from twinshelf.server.services.calls.intake import Intake, IntakeConfig

NO_SLOW_MESSAGES = IntakeConfig(
    slow_message_limit=0, stream_limit=1, message_timeout_s=1, stream_idle_timeout_s=1
)


@contextmanager
def called_by(key_id: str | None) -> Iterator[None]:
    known = Caller(key_id=key_id, label="", scope=Scope.READ) if key_id else None
    token = caller.set(known)
    try:
        yield
    finally:
        caller.reset(token)


@contextmanager
def streams(intake: Intake, key_id: str | None, count: int) -> Iterator[None]:
    with ExitStack() as opened:
        for _ in range(count):
            with called_by(key_id):
                opened.enter_context(intake.open_stream())
        yield


def sender(after_s: float) -> Mock:
    """Returns the context of a call whose message arrives after so many seconds."""

    async def read() -> bytes:
        """Is what gRPC calls."""
        await asyncio.sleep(after_s)
        return b"a photo"

    return Mock(read=read)


async def test_a_loop_that_was_held_up_finds_no_sender_slow() -> None:
    intake = Intake(NO_SLOW_MESSAGES)
    readings = [asyncio.ensure_future(intake.read_one(sender(0.02))) for _ in range(64)]
    await asyncio.sleep(0)
    time.sleep(0.2)  # by then all have sent theirs
    assert set(await asyncio.gather(*readings)) == {b"a photo"}


async def test_a_sender_that_is_slow_needs_a_place() -> None:
    with pytest.raises(TooManyBytesError):
        await Intake(NO_SLOW_MESSAGES).read_one(sender(10))


@pytest.mark.parametrize(
    ("key_id", "limit", "share"), [("a", 4, 2), ("a", 5, 2), ("a", 1, 1), (None, 4, 4)]
)
def test_one_key_has_at_most_half_of_the_streams(
    key_id: str | None, limit: int, share: int
) -> None:
    intake = Intake(
        IntakeConfig(
            slow_message_limit=1, stream_limit=limit, message_timeout_s=1, stream_idle_timeout_s=1
        )
    )
    for _ in range(2):  # what has ended counts no more
        with streams(intake, key_id, share):
            with pytest.raises(ServerBusyError, match="open already"), streams(intake, key_id, 1):
                pass
            with streams(intake, "b", min(share, limit - share)):
                pass
