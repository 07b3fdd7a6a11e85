"""Refusing calls unread: who is refused, with what, and for how long."""

from __future__ import annotations

import pytest

from twinshelf.server.errors import DeadlineTooShortError, ServerBusyError
from twinshelf.server.services.calls.call_observer import CallObserver
from twinshelf.server.services.calls.door import Door
from twinshelf.server.telemetry.metrics import Metrics
from twinshelf.server.telemetry.tracing import Tracing

METHOD = "/twinshelf.v1.MatchingService/MatchProduct"
COUNTED = {"method": "MatchProduct", "code": "RESOURCE_EXHAUSTED"}


class Encoder:
    """Says when an answer would come, and counts how often it is asked."""

    def __init__(self) -> None:
        self.answer_s: float | None = 0.1
        self.asked_count = 0

    def expect_answer_s(self) -> float:
        self.asked_count += 1
        if self.answer_s is None:
            raise ServerBusyError("full", retry_after_s=1.0)
        return self.answer_s


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def encoder() -> Encoder:
    return Encoder()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(["MatchProduct"])


@pytest.fixture
def door(encoder: Encoder, clock: Clock, metrics: Metrics) -> Door:
    observer = CallObserver(metrics=metrics, tracing=Tracing.to(""), slow_call_s=1.0)
    return Door(
        method=METHOD, expect_answer_s=encoder.expect_answer_s, observer=observer, clock=clock
    )


def test_whoever_can_be_answered_comes_in(door: Door) -> None:
    assert door.refuse() is None
    assert door.refuse_late(None) is None
    assert door.refuse_late(0.11) is None


def test_whoever_has_no_time_left_is_refused_though_nobody_waits(
    door: Door, encoder: Encoder
) -> None:
    encoder.answer_s = 0.0
    assert door.refuse_late(0.001) is None
    assert door.refuse_late(0.0) is not None


def test_a_deadline_before_the_answer_is_refused(door: Door) -> None:
    refusal = door.refuse_late(0.09)
    assert refusal is not None
    assert isinstance(refusal.error, DeadlineTooShortError)
    assert refusal.error.retry_after_s == pytest.approx(0.1)


def test_all_are_refused_while_there_is_no_room_and_each_is_counted(
    door: Door, encoder: Encoder, metrics: Metrics
) -> None:
    encoder.answer_s = None
    refusals = [door.refuse(), door.refuse(), door.refuse_late(60.0)]
    assert all(each is refusals[0] for each in refusals)
    assert refusals[0] is not None
    assert isinstance(refusals[0].error, ServerBusyError)
    assert metrics.registry.get_sample_value("twinshelf_call_seconds_count", COUNTED) == 3
    reason = {"reason": "SERVER_BUSY"}
    assert metrics.registry.get_sample_value("twinshelf_refusals_total", reason) == 3


def test_what_is_known_is_asked_anew_after_five_milliseconds(
    door: Door, encoder: Encoder, clock: Clock
) -> None:
    encoder.answer_s = None
    assert door.refuse() is not None
    encoder.answer_s = 0.1
    clock.now = 0.004
    assert door.refuse() is not None
    clock.now = 0.006
    assert door.refuse() is None
    assert encoder.asked_count == 2
