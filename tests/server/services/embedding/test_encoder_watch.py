"""The watch over the encoder: a hang is seen in time, told to all, and over when it is over."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import time

import grpc
import pytest

from tests.server.calls import code_of, match, serving
from tests.server.fake_encoder import FakeEncoder
from tests.server.test_serving import NOT_SERVING, SERVING, wait_for_health
from twinshelf.server.config import ServerConfig
from twinshelf.server.encoders.embedding import OfferEmbedding
from twinshelf.server.encoders.encoder import EncoderInput
from twinshelf.server.encoders.modalities import Pattern
from twinshelf.server.errors import EncoderChangedError, EncoderFailedError, TwinshelfError

STUCK_AFTER_S = 0.4


@pytest.fixture
def watched(config: ServerConfig) -> ServerConfig:
    return dataclasses.replace(config, canary_interval_s=0.05, stuck_after_s=STUCK_AFTER_S)


class Freezer:
    """Holds up every input of the modalities that are frozen, canaries included."""

    def __init__(self, encoder: FakeEncoder) -> None:
        self.frozen = Pattern.NONE
        self.thawed = asyncio.Event()
        encoder.gate = self._hold

    async def _hold(self, inputs: list[EncoderInput]) -> None:
        if inputs[0].pattern & self.frozen:
            await self.thawed.wait()


@pytest.mark.slow
@pytest.mark.parametrize("frozen", [Pattern.IMAGE, Pattern.TEXT, Pattern.BOTH])
async def test_an_encoder_that_hangs_is_noticed_without_any_caller_and_so_is_its_return(
    watched: ServerConfig, encoder: FakeEncoder, frozen: Pattern
) -> None:
    freezer = Freezer(encoder)
    async with serving(watched, encoder) as channel:
        await wait_for_health(channel, SERVING)
        freezer.frozen = frozen
        await wait_for_health(channel, NOT_SERVING)
        with pytest.raises(grpc.aio.AioRpcError, match="stuck") as raised:
            await match(channel, title="mug")
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
        freezer.frozen = Pattern.NONE
        freezer.thawed.set()
        await wait_for_health(channel, SERVING)
        await match(channel, title="mug")


@pytest.mark.slow
async def test_callers_without_a_deadline_hear_of_a_hang_while_they_wait(
    watched: ServerConfig, encoder: FakeEncoder
) -> None:
    freezer = Freezer(encoder)
    small = dataclasses.replace(watched, in_flight_limit=2)
    async with serving(small, encoder) as channel:
        await wait_for_health(channel, SERVING)
        freezer.frozen = Pattern.BOTH
        start_s = time.monotonic()
        calls = [asyncio.ensure_future(match(channel, title=f"mug {i}")) for i in range(20)]
        codes = {await code_of(call) for call in calls}
        # Far below the encode time-out; generous, for the machine may be busy.
        assert time.monotonic() - start_s < watched.encode_timeout_s - 1
        assert codes == {grpc.StatusCode.UNAVAILABLE}
        freezer.frozen = Pattern.NONE
        freezer.thawed.set()
        await wait_for_health(channel, SERVING)


@pytest.mark.slow
async def test_an_encoder_that_fails_on_its_canaries_is_not_serving(
    watched: ServerConfig, encoder: FakeEncoder, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(watched, encoder) as channel:
        await wait_for_health(channel, SERVING)
        embed = encoder.embed
        encoder.embed = lambda row: EncoderFailedError("the model has died")  # type: ignore[method-assign]
        await wait_for_health(channel, NOT_SERVING)
        assert "not serving: the encoder fails on a small" in caplog.text
        assert "the model has died" in caplog.text
        encoder.embed = embed  # type: ignore[method-assign]
        await wait_for_health(channel, SERVING)


async def test_a_canary_that_meets_a_change_of_encoder_is_no_failure(
    watched: ServerConfig, encoder: FakeEncoder, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(watched, encoder) as channel:
        await wait_for_health(channel, SERVING)
        embed, changed = encoder.embed, asyncio.Event()

        def change(row: EncoderInput) -> OfferEmbedding | TwinshelfError:
            if changed.is_set():
                return embed(row)
            changed.set()
            return EncoderChangedError("the encoder has just changed")

        encoder.embed = change  # type: ignore[method-assign]
        await changed.wait()
        for _ in range(20):
            assert (await match(channel, title="mug")).encoder.version == 1
        assert "not serving" not in caplog.text


@pytest.mark.slow
async def test_an_encoder_of_which_every_other_answer_fails_is_not_serving(
    watched: ServerConfig, encoder: FakeEncoder
) -> None:
    patient = dataclasses.replace(watched, canary_interval_s=30)
    async with serving(patient, encoder) as channel:
        await wait_for_health(channel, SERVING)
        embed, count = encoder.embed, itertools.count()
        encoder.embed = lambda row: (  # type: ignore[method-assign]
            embed(row) if next(count) % 2 else EncoderFailedError("one of its processes has died")
        )
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await match(channel, title="mug")
        assert raised.value.code() is grpc.StatusCode.INTERNAL
        await wait_for_health(channel, NOT_SERVING)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await match(channel, title="mug")
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
        encoder.embed = embed  # type: ignore[method-assign]
        await wait_for_health(channel, SERVING)


@pytest.mark.slow
async def test_real_offers_that_are_answered_spare_the_canaries(
    watched: ServerConfig, encoder: FakeEncoder
) -> None:
    patient = dataclasses.replace(watched, canary_interval_s=30)
    async with serving(patient, encoder) as channel:
        await wait_for_health(channel, SERVING)
        await match(channel, title="mug")
        await asyncio.sleep(0.3)
        assert encoder.texts == ["query: mug"]
