"""The byte budget: what fits, what waits, and what is refused."""

from __future__ import annotations

import asyncio

import pytest

from twinshelf.server.errors import TooManyBytesError
from twinshelf.server.services.calls.byte_budget import ByteBudget


def test_what_does_not_fit_is_refused_and_what_was_given_back_can_be_taken_again() -> None:
    budget = ByteBudget(10)
    budget.take(6)
    with pytest.raises(TooManyBytesError, match="6 of 10 bytes"):
        budget.take(5)
    budget.give_back(6)
    budget.take(10)
    assert budget.held_bytes == 10


def test_something_larger_than_all_of_it_fits_alone() -> None:
    budget = ByteBudget(10)
    budget.take(50)
    with pytest.raises(TooManyBytesError):
        budget.take(1)


async def test_those_who_wait_are_served_in_their_order() -> None:
    budget = ByteBudget(10)
    await budget.wait_for(10)
    order: list[int] = []

    async def take(number: int, size_bytes: int) -> None:
        await budget.wait_for(size_bytes)
        order.append(number)

    tasks = [asyncio.ensure_future(take(n, size)) for n, size in enumerate((8, 1, 1))]
    await asyncio.sleep(0)
    with pytest.raises(TooManyBytesError):
        budget.take(1)
    budget.give_back(4)
    await asyncio.sleep(0)
    assert order == []  # the small ones do not overtake the large one
    budget.give_back(6)
    await asyncio.gather(*tasks)
    assert order == [0, 1, 2]
    assert budget.held_bytes == 10


async def test_who_stops_waiting_holds_nothing() -> None:
    budget = ByteBudget(10)
    await budget.wait_for(10)
    waiting = asyncio.ensure_future(budget.wait_for(5))
    lucky = asyncio.ensure_future(budget.wait_for(5))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    budget.give_back(10)
    lucky.cancel()  # what it waited for has come already
    await asyncio.gather(lucky, return_exceptions=True)
    assert budget.held_bytes == 0
