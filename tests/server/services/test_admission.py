"""Admission: how many are let in, how many may wait, and who is turned away."""

from __future__ import annotations

import asyncio

import pytest

from server.errors import ServerBusyError
from server.services.admission import Admission


async def test_places_are_bounded_and_those_who_wait_get_in() -> None:
    admission = Admission(in_flight_count=3, waiting_count=100)
    inside = most = 0

    async def visit() -> None:
        nonlocal inside, most
        async with admission.place():
            inside += 1
            most = max(most, inside)
            for _ in range(3):
                await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(visit() for _ in range(50)))
    assert most == 3
    assert inside == 0


async def test_those_beyond_the_queue_are_turned_away_until_there_is_room() -> None:
    admission = Admission(in_flight_count=1, waiting_count=1)
    may_leave = asyncio.Event()

    async def visit() -> None:
        async with admission.place():
            await may_leave.wait()

    visitors = [asyncio.ensure_future(visit()) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(ServerBusyError, match="1 requests wait"):
        await visit()
    may_leave.set()
    await asyncio.gather(*visitors)
    await visit()


async def test_a_place_is_given_back_after_an_error_and_after_waiting_in_vain() -> None:
    admission = Admission(in_flight_count=1, waiting_count=1)
    with pytest.raises(KeyError):
        async with admission.place():
            raise KeyError
    async with admission.place():
        waiting = asyncio.ensure_future(admission.place().__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    async with admission.place():
        pass
