"""Whose message is read when, and how many slow ones at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from unittest.mock import Mock

import pytest

from twinshelf.server.errors import TooManyBytesError
from twinshelf.server.services.calls import message_reader
from twinshelf.server.services.calls.message_reader import UNREAD_BYTES, MessageReader

SHORT, LARGE = b"a text", bytes(UNREAD_BYTES + 1)


class Call:
    """A call whose message comes when it is told to; counts the calls that are being read."""

    reading_count = 0

    def __init__(self, peer: str, message: bytes = SHORT) -> None:
        self.context = Mock(peer=lambda: peer, read=self._read)
        self.is_begun = False
        self._message = message
        self._has_come = asyncio.Event()

    def come(self) -> None:
        self._has_come.set()

    async def _read(self) -> bytes:
        self.is_begun = True
        Call.reading_count += 1
        try:
            await self._has_come.wait()
        finally:
            Call.reading_count -= 1
        return self._message


def reader_of(*, slow_limit: int = 16, turn_timeout_s: float = 10) -> MessageReader:
    return MessageReader(slow_limit=slow_limit, timeout_s=10, turn_timeout_s=turn_timeout_s)


async def send(reader: MessageReader, peer: str, *messages: bytes) -> None:
    """Sends messages over a connection, each of which is there at once."""
    for message in messages:
        call = Call(peer, message)
        call.come()
        assert await reader.read(call.context) == message


async def begun(reader: MessageReader, calls: Sequence[Call]) -> list[asyncio.Future[bytes]]:
    """Lets calls be read for as long as a message may take that counts as prompt."""
    readings: list[asyncio.Future[bytes]] = []
    for call in calls:
        readings.append(asyncio.ensure_future(reader.read(call.context)))
    for _ in range(5):
        await asyncio.sleep(0)
    return readings


async def end(calls: Sequence[Call], readings: Sequence[asyncio.Future[bytes]]) -> list[bytes]:
    for call in calls:
        call.come()
    return await asyncio.gather(*readings)


async def test_a_loop_that_was_held_up_finds_no_sender_slow() -> None:
    reader = reader_of(slow_limit=0)
    for number in range(64):
        await send(reader, f"peer {number}", SHORT)
    calls = [Call(f"peer {number}") for number in range(64)]
    readings = await begun(reader, calls)
    time.sleep(0.2)
    assert set(await end(calls, readings)) == {SHORT}


async def test_a_sender_that_is_slow_needs_a_place() -> None:
    with pytest.raises(TooManyBytesError, match="slow messages are being read already"):
        await reader_of(slow_limit=0).read(Call("peer").context)


async def test_who_sent_a_short_message_is_read_at_once() -> None:
    reader = reader_of()
    await send(reader, "peer", SHORT)
    calls = [Call("peer") for _ in range(64)]
    readings = await begun(reader, calls)
    assert all(call.is_begun for call in calls)
    await end(calls, readings)


async def test_who_sent_a_large_message_waits_until_another_has_been_read() -> None:
    reader = reader_of()
    await send(reader, "one", LARGE)
    await send(reader, "two", SHORT, LARGE)
    calls = [Call("one", LARGE), Call("two", LARGE)]
    readings = await begun(reader, calls)
    assert [call.is_begun for call in calls] == [True, False]
    assert await end(calls, readings) == [LARGE, LARGE]


async def test_few_newcomers_are_read_at_once_and_no_large_sender_keeps_them_out() -> None:
    reader = reader_of()
    await send(reader, "large", LARGE)
    calls = [Call("large"), *(Call(f"newcomer {number}") for number in range(64))]
    readings = await begun(reader, calls)
    assert calls[0].is_begun
    assert 1 <= sum(call.is_begun for call in calls[1:]) < 5
    assert set(await end(calls, readings)) == {SHORT}


async def test_short_messages_make_up_for_a_large_one() -> None:
    reader = reader_of()
    await send(reader, "peer", LARGE, *[SHORT] * 16)  # a newcomer again
    await send(reader, "peer", SHORT)
    calls = [Call("peer") for _ in range(8)]
    readings = await begun(reader, calls)
    assert all(call.is_begun for call in calls)
    await end(calls, readings)
    await send(reader, "peer", LARGE, *[SHORT] * 15)
    calls = [Call("peer"), Call("peer")]
    readings = await begun(reader, calls)
    assert [call.is_begun for call in calls] == [True, False]
    await end(calls, readings)


async def test_what_broke_off_says_nothing_of_its_sender() -> None:
    reader = reader_of()
    await send(reader, "peer", SHORT)
    broken = Call("peer")
    (reading,) = await begun(reader, [broken])
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    assert Call.reading_count == 0
    calls = [Call("peer") for _ in range(8)]
    readings = await begun(reader, calls)
    assert all(call.is_begun for call in calls)
    await end(calls, readings)


async def test_a_turn_ends_when_the_message_turns_out_slow() -> None:
    reader = reader_of()
    await send(reader, "peer", LARGE)
    calls = [Call("peer", LARGE), Call("peer", LARGE)]
    readings = await begun(reader, calls)
    while not calls[1].is_begun:
        await asyncio.sleep(0.01)
    assert await end(calls, readings) == [LARGE, LARGE]


async def test_who_waits_too_long_for_a_turn_is_refused_unread() -> None:
    reader = reader_of(turn_timeout_s=0.01)
    await send(reader, "peer", LARGE)
    calls = [Call("peer", LARGE), Call("peer", LARGE)]
    first, second = await begun(reader, calls)
    with pytest.raises(TooManyBytesError, match="read first"):
        await second
    assert not calls[1].is_begun
    assert await end(calls[:1], [first]) == [LARGE]


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> MessageReader:
    """A reader that looks for messages in every turn of the loop."""
    look = message_reader._is_done

    async def look_at_once(reading: asyncio.Future[bytes], timeout_s: float) -> bool:
        if timeout_s != message_reader._LOOK_S:
            return await look(reading, timeout_s)
        await asyncio.sleep(0)
        return reading.done()

    monkeypatch.setattr(message_reader, "_is_done", look_at_once)
    return reader_of(slow_limit=128)


async def turns_until_begun(call: Call) -> int:
    """Returns how many turns of the loop pass until a call is read."""
    count = 0
    while not call.is_begun:
        await asyncio.sleep(0)
        count += 1
    return count


async def test_who_sends_nothing_keeps_others_out_for_ever_shorter_turns(
    reader: MessageReader,
) -> None:
    silent = [Call(f"silent {number}") for number in range(64)]
    readings = await begun(reader, silent)
    assert await turns_until_begun(silent[-1]) < 120  # turns of five looks, two at a time, take 160
    await end(silent, readings)


async def test_who_sends_large_messages_slowly_keeps_no_quick_sender_waiting() -> None:
    reader = reader_of()
    slow = Call("far", LARGE)
    readings = await begun(reader, [slow])
    await asyncio.sleep(0.05)
    await end([slow], readings)
    await send(reader, "near", bytes(16_000_000))  # within a second, that is
    calls = [*(Call("far") for _ in range(16)), Call("near")]
    readings = await begun(reader, calls)
    assert calls[0].is_begun
    assert calls[-1].is_begun
    assert sum(call.is_begun for call in calls) < 5
    await end(calls, readings)


async def test_a_large_message_that_comes_makes_turns_long_again(reader: MessageReader) -> None:
    silent = [Call("silent") for _ in range(64)]
    readings = await begun(reader, silent)
    await turns_until_begun(silent[-1])
    counts = []
    for has_large in (False, True):
        if has_large:
            await send(reader, "large", LARGE)  # a newcomer, too
        calls = [Call("silent") for _ in range(3)]
        readings += [asyncio.ensure_future(reader.read(call.context)) for call in calls]
        counts.append(await turns_until_begun(calls[-1]))
        silent += calls
    assert counts[0] < counts[1]
    await end(silent, readings)
