"""Tests of telling a stuck ensemble from a busy one, with a made clock; no Triton is needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.model_repository import tiny_repository
from twinshelf.server.encoders.embedding import OfferEmbedding
from twinshelf.server.encoders.encoder import EncoderInput
from twinshelf.server.encoders.local_encoder import LocalEncoder
from twinshelf.server.errors import InvalidRequestError
from twinshelf.server.triton.canary import (
    CANARIES,
    CANARY_PHOTO,
    CANARY_TEXT,
    CanaryWatch,
    OutstandingCall,
    Progress,
    finished_requests,
)
from twinshelf.server.triton.triton_config import listen

TICK_S = 0.25
STUCK_AFTER_S = 3.0


class Ensemble:
    """An ensemble that behaves as it is told: what it answers, and what its models do meanwhile."""

    def __init__(self) -> None:
        self.is_answering = True
        self.error: Exception | None = None
        self.finished_per_s = 0.0
        self.cpu_share = 0.0
        self.tells_counts = True
        self.sent = 0
        self._now = 0.0
        self.watch = CanaryWatch(CANARIES[0], send=self._send, look=self._look)

    def run(self, seconds: float) -> str | None:
        """Runs the clock; returns the reason as soon as there is one."""
        for _ in range(round(seconds / TICK_S)):
            self._now += TICK_S
            if reason := self.watch.reason_if_stuck(self._now, STUCK_AFTER_S):
                return reason
        return None

    def _send(self) -> OutstandingCall:
        self.sent += 1
        call = OutstandingCall()
        if self.is_answering:
            call.end(None, self.error)
        return call

    def _look(self, now: float) -> Progress:
        finished = int(now * self.finished_per_s) if self.tells_counts else None
        return Progress(at=now, finished=finished, cpu_s=now * self.cpu_share)


def test_a_canary_is_sent_about_every_second_while_all_is_well() -> None:
    ensemble = Ensemble()
    assert ensemble.run(60) is None
    assert 50 <= ensemble.sent <= 61


@pytest.mark.parametrize("tells_counts", [True, False])
def test_silence_while_nothing_moves_is_a_hang_and_no_second_canary_is_sent(
    tells_counts: bool,
) -> None:
    ensemble = Ensemble()
    ensemble.run(5)
    ensemble.is_answering, ensemble.tells_counts = False, tells_counts
    ensemble.run(1.5)
    sent = ensemble.sent

    reason = ensemble.run(3)

    assert reason is not None
    assert "image_encoder has not answered for 3" in reason
    assert "image_tower has finished no request meanwhile" in reason
    assert ensemble.sent == sent


def test_silence_while_requests_are_finished_is_mere_overload() -> None:
    ensemble = Ensemble()
    ensemble.is_answering, ensemble.finished_per_s = False, 1.0
    assert ensemble.run(300) is None


def test_requests_that_stop_being_finished_are_a_hang_from_then_on() -> None:
    ensemble = Ensemble()
    ensemble.is_answering, ensemble.finished_per_s = False, 4.0
    assert ensemble.run(20) is None
    ensemble.finished_per_s = 0.0
    assert ensemble.run(2) is None
    assert ensemble.run(2) is not None


def test_models_that_compute_get_longer_but_not_for_ever() -> None:
    ensemble = Ensemble()
    ensemble.is_answering, ensemble.cpu_share = False, 0.9
    assert ensemble.run(25) is None
    assert ensemble.run(15) is not None


def test_models_that_finish_a_large_batch_now_and_then_are_at_work() -> None:
    ensemble = Ensemble()
    ensemble.is_answering, ensemble.cpu_share, ensemble.finished_per_s = False, 0.9, 1 / 12
    assert ensemble.run(300) is None
    ensemble.cpu_share = 0.0
    assert ensemble.run(20) is not None


def test_lasting_refusals_after_good_answers_are_a_hang() -> None:
    ensemble = Ensemble()
    ensemble.run(5)
    ensemble.error = RuntimeError("the stub is not healthy")
    reason = ensemble.run(6)
    assert reason is not None
    assert "refused (the stub is not healthy)" in reason


def test_one_refusal_is_no_hang() -> None:
    ensemble = Ensemble()
    ensemble.run(5)
    ensemble.error = RuntimeError("busy")
    assert ensemble.run(1) is None
    ensemble.error = None
    assert ensemble.run(20) is None


def test_an_encoder_that_never_took_a_canary_is_not_restarted_for_refusing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ensemble = Ensemble()
    ensemble.error = RuntimeError("the tower cannot")
    assert ensemble.run(60) is None
    assert caplog.text.count("image_encoder refuses a canary: the tower cannot") == 1


@pytest.mark.slow
def test_a_frozen_metrics_endpoint_tells_nothing_and_does_not_hold_up() -> None:
    with listen("127.0.0.1", 0) as frozen:
        host, port = frozen.getsockname()
        assert finished_requests(f"{host}:{port}") == {}


def test_an_encoder_of_another_script_takes_the_canaries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiny_repository, "WORDS", ["чай", "кофе"])
    tiny_repository.publish_tiny_version(
        tmp_path, version=77
    )  # whose digest no other test asks for
    encoder = LocalEncoder(tmp_path, 77, thread_count=1)
    rows = [
        EncoderInput(image=CANARY_PHOTO, text=None),
        EncoderInput(image=None, text=CANARY_TEXT),
        EncoderInput(image=None, text="red tea"),
    ]
    *canaries, unknown = encoder.encode_now(rows)
    assert all(isinstance(each, OfferEmbedding) for each in canaries)
    assert isinstance(unknown, InvalidRequestError)
