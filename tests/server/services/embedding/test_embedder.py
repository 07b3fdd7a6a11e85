"""Embedding under admission: what was sent is never cancelled, and keeps its place to the end."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Sequence

import numpy as np
import pytest

from tests.server.fake_encoder import BROKEN_IMAGE, UNKNOWN_TEXT, FakeEncoder, make_contract
from twinshelf.server.encoders.embedding import OfferEmbedding
from twinshelf.server.encoders.embedding_cache import EmbeddingCache
from twinshelf.server.encoders.encoder import EncoderInput
from twinshelf.server.encoders.modalities import Pattern
from twinshelf.server.errors import EncoderUnavailableError, InvalidRequestError
from twinshelf.server.services.embedding.admission import (
    Admission,
    AdmissionConfig,
    Place,
    Work,
)
from twinshelf.server.services.embedding.embedder import Embedder
from twinshelf.server.services.embedding.encoder_pulse import EncoderPulse
from twinshelf.server.telemetry.metrics import Metrics

ROW = EncoderInput(image=None, text="query: mug")


class Stage:
    """An embedder whose encoder answers when the test says so."""

    def __init__(
        self, *, encode_timeout_s: float = 20, in_flight_limit: float = 1, cache_count: int = 0
    ) -> None:
        self.encoder = FakeEncoder()
        self.may_answer = asyncio.Event()
        self.sent = asyncio.Event()
        self.cancelled_count = 0
        self.encoder.gate = self._hold
        self.admission = Admission(
            AdmissionConfig(in_flight_limit=in_flight_limit, waiting_limit=100, wait_limit_s=100)
        )
        self.pulse = EncoderPulse(60)
        self.metrics = Metrics()
        self.embedder = Embedder(
            encoder=self.encoder,
            admission=self.admission,
            pulse=self.pulse,
            cache=EmbeddingCache(cache_count),
            encode_timeout_s=encode_timeout_s,
            metrics=self.metrics,
        )

    async def _hold(self, inputs: list[EncoderInput]) -> None:
        self.sent.set()
        try:
            await self.may_answer.wait()
        except asyncio.CancelledError:
            self.cancelled_count += 1
            raise

    def embed(self, row: EncoderInput = ROW) -> asyncio.Task[OfferEmbedding]:
        return asyncio.ensure_future(self._embed(row))

    async def _embed(self, row: EncoderInput) -> OfferEmbedding:
        async with self.embedder.embedded(
            row, self.encoder.contract, path="offer", is_patient=False, deadline_s=None
        ) as embedding:
            return embedding

    def stuck_call_count(self) -> float:
        value = self.metrics.registry.get_sample_value("twinshelf_stuck_calls")
        assert value is not None
        return value


@pytest.mark.slow
async def test_a_caller_that_leaves_cancels_nothing_and_its_place_stays_taken() -> None:
    stage = Stage()
    leaving = stage.embed()
    await stage.sent.wait()
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    waiting = stage.embed()
    await asyncio.sleep(0.01)
    assert stage.encoder.in_flight == 1
    assert stage.admission.waiting_count == 1
    stage.may_answer.set()
    await waiting
    assert stage.cancelled_count == 0
    assert (stage.encoder.in_flight, stage.admission.in_flight) == (0, 0)


async def test_a_caller_that_leaves_while_it_waits_sends_nothing() -> None:
    stage = Stage()
    first = stage.embed()
    await stage.sent.wait()
    waiting = stage.embed()
    await asyncio.sleep(0.01)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    stage.may_answer.set()
    await first
    assert stage.encoder.texts == ["query: mug"]


async def test_an_answer_that_takes_too_long_is_not_waited_for_and_is_counted_until_it_comes() -> (
    None
):
    stage = Stage(encode_timeout_s=0.05)
    with pytest.raises(EncoderUnavailableError, match=r"within 0\.05 s"):
        await stage.embed()
    assert stage.stuck_call_count() == 1
    assert stage.admission.in_flight > 0
    stage.may_answer.set()
    await stage.embedder.close(5)
    assert stage.stuck_call_count() == 0
    assert stage.admission.in_flight == 0
    assert stage.cancelled_count == 0


async def test_what_a_caller_left_behind_is_counted_once_it_is_overdue() -> None:
    stage = Stage(encode_timeout_s=0.05)
    leaving = stage.embed()
    await stage.sent.wait()
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    assert stage.stuck_call_count() == 0
    async with asyncio.timeout(5):
        while stage.stuck_call_count() == 0:
            await asyncio.sleep(0.01)
    stage.may_answer.set()
    await stage.embedder.close(5)
    assert stage.stuck_call_count() == 0


async def test_behind_late_answers_nobody_waits_until_something_is_answered() -> None:
    stage = Stage(encode_timeout_s=0.1, in_flight_limit=2.5)
    tried = [stage.embed(), stage.embed()]
    await stage.sent.wait()
    waiting = stage.embed()
    for task, sentence in ((tried[0], "within"), (waiting, "nothing for"), (tried[1], "within")):
        with pytest.raises(EncoderUnavailableError, match=sentence):
            await task
    with pytest.raises(
        EncoderUnavailableError, match=r"nothing for 0\.1 s \(2 requests are late\)"
    ):
        await stage.embed()
    assert stage.encoder.in_flight == 2
    stage.may_answer.set()
    await stage.embedder.close(5)
    await asyncio.gather(*(stage.embed() for _ in range(5)))


@pytest.mark.slow
async def test_an_error_after_the_caller_left_is_taken_and_frees_the_place() -> None:
    unseen = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unseen.append(context))
    stage = Stage()

    async def fail(_: Sequence[EncoderInput]) -> None:
        stage.sent.set()
        await stage.may_answer.wait()
        raise RuntimeError("broken")

    stage.encoder.gate = fail
    leaving = stage.embed()
    await stage.sent.wait()
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    stage.may_answer.set()
    await stage.embedder.close(5)
    del leaving
    gc.collect()
    assert unseen == []
    assert (stage.admission.in_flight, stage.stuck_call_count()) == (0, 0)


async def test_those_in_flight_hear_of_a_loss_at_once_and_new_ones_are_refused() -> None:
    stage = Stage(in_flight_limit=10)
    tasks = [stage.embed() for _ in range(3)]
    await stage.sent.wait()
    stage.pulse.lose(EncoderUnavailableError("the encoder is stuck"))
    for task in [*tasks, stage.embed()]:
        with pytest.raises(EncoderUnavailableError, match="the encoder is stuck"):
            await task
    assert stage.encoder.in_flight == 3
    stage.may_answer.set()
    await stage.embedder.close(5)
    assert stage.cancelled_count == 0
    stage.pulse.recover()
    await stage.embed()


async def test_those_who_wait_for_a_place_hear_of_a_loss_too() -> None:
    stage = Stage()
    first = stage.embed()
    await stage.sent.wait()
    waiting = stage.embed()
    await asyncio.sleep(0.01)
    stage.pulse.lose(EncoderUnavailableError("the encoder is stuck"))
    async with asyncio.timeout(2):
        for task in (first, waiting):
            with pytest.raises(EncoderUnavailableError, match="the encoder is stuck"):
                await task
    assert stage.admission.waiting_count == 0
    stage.may_answer.set()
    await stage.embedder.close(5)


async def test_a_refused_row_raises_its_error() -> None:
    stage = Stage()
    stage.may_answer.set()
    with pytest.raises(InvalidRequestError, match="JPEG") as refused:
        await stage.embed(EncoderInput(image=BROKEN_IMAGE, text=None))
    assert refused.value.field == "offer.image"
    assert stage.admission.in_flight == 0


async def test_a_refused_part_is_named_by_a_field_of_the_message() -> None:
    stage = Stage()
    stage.may_answer.set()
    rows = {
        "offer.image": EncoderInput(image=BROKEN_IMAGE, text="query: mug"),
        "offer": EncoderInput(image=None, text=UNKNOWN_TEXT),
    }
    for field, row in rows.items():
        with pytest.raises(InvalidRequestError) as caught:
            await stage.embed(row)
        assert caught.value.field == field


BOTH = EncoderInput(image=b"mug photo", text="query: mug")


async def test_what_was_embedded_is_not_embedded_again() -> None:
    stage = Stage(cache_count=10)
    stage.may_answer.set()
    first, second = [await stage.embed(BOTH) for _ in range(2)]
    photo = await stage.embed(EncoderInput(image=b"mug photo", text=None))
    assert stage.encoder.texts == ["query: mug"]
    for name in ("image", "text"):
        np.testing.assert_array_equal(getattr(second, name), getattr(first, name))
    np.testing.assert_array_equal(photo.image, first.image)
    assert photo.text is None


async def test_only_what_is_new_of_a_row_is_embedded() -> None:
    stage = Stage(cache_count=10)
    stage.may_answer.set()
    await stage.embed(BOTH)
    other = await stage.embed(EncoderInput(image=b"mug photo", text="query: lamp"))
    whole = stage.encoder.embed(EncoderInput(image=b"mug photo", text="query: lamp"))
    assert isinstance(whole, OfferEmbedding)
    assert stage.encoder.texts[:2] == ["query: mug", "query: lamp"]
    np.testing.assert_array_equal(other.image, whole.image)
    np.testing.assert_array_equal(other.text, whole.text)


async def test_what_is_remembered_says_nothing_of_how_long_the_rest_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = Stage(cache_count=10)
    stage.may_answer.set()
    patterns, enter = [], stage.admission.enter

    async def note(work: Work) -> Place:
        patterns.append(work.pattern)
        return await enter(work)

    monkeypatch.setattr(stage.admission, "enter", note)
    for text in ("query: mug", "query: mug", "query: lamp"):
        await stage.embed(EncoderInput(image=b"mug photo", text=text))
    assert patterns == [Pattern.BOTH, Pattern.NONE, Pattern.TEXT]


async def test_a_text_without_known_words_is_none_beside_a_remembered_photo() -> None:
    stage = Stage(cache_count=10)
    stage.may_answer.set()
    await stage.embed(BOTH)
    beside = await stage.embed(EncoderInput(image=b"mug photo", text=f"query: {UNKNOWN_TEXT}"))
    assert beside.text is None
    with pytest.raises(InvalidRequestError):
        await stage.embed(EncoderInput(image=None, text=f"query: {UNKNOWN_TEXT}"))


async def test_a_refused_photo_is_not_remembered() -> None:
    stage = Stage(cache_count=10)
    stage.may_answer.set()
    for _ in range(2):
        with pytest.raises(InvalidRequestError):
            await stage.embed(EncoderInput(image=BROKEN_IMAGE, text="query: mug"))
    assert len(stage.encoder.texts) == 2


async def test_another_encoder_embeds_anew_and_the_oldest_are_forgotten() -> None:
    stage = Stage(cache_count=2)
    stage.may_answer.set()
    await stage.embed(BOTH)
    stage.encoder.current = make_contract("second")
    await stage.embed(BOTH)
    assert len(stage.encoder.texts) == 2
    stage.encoder.current = make_contract("first")
    await stage.embed(BOTH)
    assert len(stage.encoder.texts) == 3
