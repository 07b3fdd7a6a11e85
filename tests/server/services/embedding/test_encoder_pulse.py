"""The pulse of the encoder: what counts as a hang, and who hears of a loss."""

from __future__ import annotations

import pytest

from twinshelf.server.encoders.modalities import Pattern
from twinshelf.server.errors import EncoderUnavailableError
from twinshelf.server.services.embedding.encoder_pulse import EncoderPulse


class Clock:
    """Time that passes when the test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_silence_while_something_is_under_way_is_a_hang_and_without_it_is_none() -> None:
    clock = Clock()
    pulse = EncoderPulse(2.0, clock)
    clock.now = 100
    assert pulse.find_hang() is None
    pulse.begin(Pattern.IMAGE)
    clock.now = 101.9
    assert pulse.find_hang() is None
    clock.now = 102.1
    error = pulse.find_hang()
    assert error is not None
    assert "no image was answered for 2.1 s (1 under way)" in error.message
    pulse.end(Pattern.IMAGE)
    assert pulse.find_hang() is None


async def test_answers_to_others_are_signs_of_life_of_the_same_modality_only() -> None:
    clock = Clock()
    pulse = EncoderPulse(2.0, clock)
    for pattern in (Pattern.IMAGE, Pattern.TEXT, Pattern.TEXT):
        pulse.begin(pattern)
    clock.now = 1.5
    pulse.end(Pattern.TEXT)
    clock.now = 3.0
    error = pulse.find_hang()
    assert error is not None
    assert "no image" in error.message
    pulse.end(Pattern.IMAGE)
    assert pulse.find_hang() is None
    clock.now = 3.6
    error = pulse.find_hang()
    assert error is not None
    assert "no text" in error.message


async def test_a_failure_is_no_sign_of_life_and_makes_suspect() -> None:
    clock = Clock()
    pulse = EncoderPulse(2.0, clock)
    pulse.begin(Pattern.IMAGE)
    pulse.begin(Pattern.IMAGE)
    clock.now = 1.0
    pulse.end(Pattern.IMAGE, is_answered=False)
    assert pulse.take_suspects() == {Pattern.IMAGE}
    assert pulse.take_suspects() == set()
    clock.now = 2.1
    assert pulse.find_hang() is not None


async def test_time_in_which_this_process_did_not_look_is_no_silence() -> None:
    clock = Clock()
    pulse = EncoderPulse(2.0, clock)
    pulse.begin(Pattern.TEXT)
    clock.now = 5.0
    pulse.excuse(4.5)
    assert pulse.find_hang() is None
    assert pulse.silence_s(Pattern.TEXT) == 0.5
    clock.now = 7.0
    assert pulse.find_hang() is not None
    pulse.excuse(100)
    assert pulse.silence_s(Pattern.TEXT) == 0


async def test_a_loss_is_told_until_the_encoder_is_back() -> None:
    pulse = EncoderPulse(2.0)
    pulse.check()
    pulse.lose(EncoderUnavailableError("it is gone", facts={"a": "b"}))
    pulse.lose(EncoderUnavailableError("it is still gone"))
    for _ in range(2):
        with pytest.raises(EncoderUnavailableError, match="it is gone") as raised:
            pulse.check()
        assert raised.value.facts == {"a": "b"}
    assert pulse.loss.done()
    pulse.recover()
    pulse.check()
    assert not pulse.loss.done()
