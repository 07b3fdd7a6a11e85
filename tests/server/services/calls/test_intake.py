"""How many streams are open, and that they keep no single message waiting."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import AsyncMock, Mock

import pytest

from twinshelf.server.access.caller import Caller, caller
from twinshelf.server.access.scopes import Scope
from twinshelf.server.errors import ServerBusyError, ServerStoppingError
from twinshelf.server.services.calls.intake import Intake, IntakeConfig
from twinshelf.server.services.calls.message_reader import UNREAD_BYTES

CONFIG = IntakeConfig(
    slow_message_limit=1,
    stream_limit=1,
    message_timeout_s=1,
    turn_timeout_s=1,
    stream_idle_timeout_s=1,
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


@pytest.mark.parametrize(
    ("key_id", "limit", "share"), [("a", 4, 2), ("a", 5, 2), ("a", 1, 1), (None, 4, 4)]
)
def test_one_key_has_at_most_half_of_the_streams(
    key_id: str | None, limit: int, share: int
) -> None:
    intake = Intake(dataclasses.replace(CONFIG, stream_limit=limit))
    for _ in range(2):  # what has ended counts no more
        with streams(intake, key_id, share):
            with pytest.raises(ServerBusyError, match="open already"), streams(intake, key_id, 1):
                pass
            with streams(intake, "b", min(share, limit - share)):
                pass


@pytest.mark.parametrize("peer", ["newcomer", "large"])
async def test_quiet_streams_take_no_turns_of_single_messages(peer: str) -> None:
    intake = Intake(dataclasses.replace(CONFIG, stream_idle_timeout_s=60, turn_timeout_s=0.01))
    large = bytes(UNREAD_BYTES + 1)
    sender = Mock(peer=lambda: "large", read=AsyncMock(return_value=large))
    assert await intake.read_one(sender) == await intake.read_next(sender) == large
    quiet = Mock(peer=lambda: peer, read=asyncio.Event().wait)
    streams = [asyncio.ensure_future(intake.read_next(quiet)) for _ in range(32)]
    await asyncio.sleep(0)
    message = Mock(peer=lambda: peer, read=AsyncMock(return_value=b"message"))
    assert await intake.read_one(message) == b"message"
    for stream in streams:
        stream.cancel()
    await asyncio.gather(*streams, return_exceptions=True)


async def test_a_stop_ends_a_stream_whose_messages_come_quickly() -> None:
    intake = Intake(CONFIG)
    stream = Mock(peer=lambda: "peer", read=AsyncMock(return_value=b"message"))
    assert await intake.read_next(stream) == b"message"
    intake.stop()
    with pytest.raises(ServerStoppingError):
        await intake.read_next(stream)
