"""The client refuses calls itself while the service refuses most of them, and no longer."""

from __future__ import annotations

import random
from collections import Counter

import grpc
import pytest

from tests.client.conftest import QUICK_RETRIES
from tests.client.fake_service import REFUSED, FakeService, busy
from twinshelf.client.async_client import AsyncClient
from twinshelf.client.errors import NOT_SENT, InvalidRequestError, ServiceBusyError
from twinshelf.client.records import Offer
from twinshelf.client.retries import RetryPolicy
from twinshelf.client.sync_client import Client
from twinshelf.client.throttle import WINDOW_S, Throttle

ONCE = RetryPolicy(attempt_count=1)


class Load:
    """Calls at a steady rate, to a service that takes so many of them a second."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.throttle = Throttle(random.Random(1), clock=lambda: self.now_s)

    def run(
        self, *, offered_per_s: float, capacity_per_s: float, duration_s: float
    ) -> Counter[str]:
        """Returns how many were refused here, by the service, and accepted."""
        came: Counter[str] = Counter()
        room = 0.0
        for _ in range(round(offered_per_s * duration_s)):
            self.now_s += 1 / offered_per_s
            room = min(20.0, room + capacity_per_s / offered_per_s)  # a few wait there
            if self.throttle.refuses():
                came["here"] += 1
                continue
            is_accepted = room >= 1
            room -= is_accepted
            self.throttle.learn(is_accepted=is_accepted)
            came["accepted" if is_accepted else "there"] += 1
        return came


@pytest.mark.parametrize("multiple", [0.5, 1, 1.1])
def test_nothing_is_refused_here_while_most_calls_are_accepted(multiple: float) -> None:
    came = Load().run(offered_per_s=100 * multiple, capacity_per_s=100, duration_s=10)
    assert came["here"] == 0


@pytest.mark.parametrize("multiple", [3, 10, 100])
def test_far_above_the_peak_the_service_refuses_little_more_than_it_accepts(
    multiple: float,
) -> None:
    load = Load()
    load.run(offered_per_s=100 * multiple, capacity_per_s=100, duration_s=1)
    came = load.run(offered_per_s=100 * multiple, capacity_per_s=100, duration_s=10)
    assert came["accepted"] >= 950  # it is still given all that it can take
    assert came["there"] <= 0.5 * came["accepted"]


def test_a_service_that_is_free_again_is_used_again() -> None:
    load = Load()
    assert load.run(offered_per_s=1000, capacity_per_s=0, duration_s=5)["here"] > 4900
    load.now_s += WINDOW_S
    assert not load.throttle.refuses()
    # Whoever never stopped calling finds it too.
    load = Load()
    load.run(offered_per_s=1000, capacity_per_s=100, duration_s=5)
    load.run(offered_per_s=100, capacity_per_s=1000, duration_s=6 * WINDOW_S)
    assert load.run(offered_per_s=100, capacity_per_s=1000, duration_s=1)["here"] == 0


def test_calls_that_nobody_has_answered_yet_refuse_no_others() -> None:
    throttle = Throttle(random.Random(0))
    assert not any(throttle.refuses() for _ in range(1000))


def test_a_refused_call_or_two_refuse_no_others() -> None:
    throttle = Throttle(random.Random(0))
    for _ in range(2):
        throttle.learn(is_accepted=False)
    assert not any(throttle.refuses() for _ in range(1000))


async def test_the_clients_do_not_send_what_would_be_refused(
    address: str, service: FakeService
) -> None:
    offer = Offer(title="tea")
    service.failures = [busy(0.001)] * 400
    with Client(address, retry_policy=ONCE, seed=1) as client:
        errors = [_error_of(client, offer) for _ in range(100)]
        assert service.calls["MatchProduct"] == sum(each.reason != NOT_SENT for each in errors) < 60
        last = next(each for each in errors if each.reason == NOT_SENT)
        assert last.code is grpc.StatusCode.RESOURCE_EXHAUSTED and last.retry_after_s == WINDOW_S
        assert "was not sent" in last.message and last.__cause__ is None
        # What needs no encoder is not held back for it.
        service.failures = []
        assert client.stats().change_sequence == 7
    service.failures = [busy(0.001)] * 400
    async with AsyncClient(address, retry_policy=ONCE, seed=1) as other:
        reasons = []
        for _ in range(100):
            with pytest.raises(ServiceBusyError) as raised:
                await other.match(offer)
            reasons.append(raised.value.reason)
    assert 40 < reasons.count(NOT_SENT) < 100


def test_what_is_wrong_with_the_requests_throttles_nobody(
    address: str, service: FakeService
) -> None:
    service.failures = [REFUSED] * 50
    with Client(address, retry_policy=QUICK_RETRIES) as client:
        for _ in range(50):
            with pytest.raises(InvalidRequestError):
                client.match(Offer(title="tea"))
        assert client.match(Offer(title="tea")).pattern == "text"
    assert service.calls["MatchProduct"] == 51


def _error_of(client: Client, offer: Offer) -> ServiceBusyError:
    with pytest.raises(ServiceBusyError) as raised:
        client.match(offer)
    return raised.value
