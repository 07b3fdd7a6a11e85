"""What is known of the call at hand."""

from __future__ import annotations

import asyncio
import contextvars

from twinshelf.server.telemetry.request_context import (
    LONGEST_REQUEST_ID,
    REQUEST_ID_KEY,
    begin_request,
    request_id,
)


def test_nothing_is_known_outside_of_a_call() -> None:
    assert request_id.get() == ""


def drawn_id(*metadata: tuple[str, str | bytes]) -> str:
    """Returns the id that a call with such metadata gets."""

    def begin() -> str:
        begin_request(metadata)
        return request_id.get()

    return contextvars.copy_context().run(begin)


def test_ids_differ() -> None:
    assert len({drawn_id() for _ in range(100)}) == 100


def test_an_id_of_the_caller_is_kept_and_bounded() -> None:
    assert drawn_id(("x", "y"), (REQUEST_ID_KEY, "mine")) == "mine"
    assert drawn_id((REQUEST_ID_KEY, "a" * 10_000)) == "a" * LONGEST_REQUEST_ID
    assert len(drawn_id((REQUEST_ID_KEY, b"bytes"))) == 32
    assert len(drawn_id((REQUEST_ID_KEY, ""))) == 32


async def test_calls_side_by_side_keep_their_own_id() -> None:
    async def call(name: str) -> str:
        request_id.set(name)
        await asyncio.sleep(0)
        return await asyncio.create_task(inner())

    async def inner() -> str:
        return request_id.get()

    calls = [asyncio.create_task(call(name)) for name in "abc"]
    assert await asyncio.gather(*calls) == ["a", "b", "c"]
    assert request_id.get() == ""
