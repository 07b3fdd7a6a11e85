"""Each key has its own calls: a burst, then so many a second."""

from __future__ import annotations

import math

import pytest

from twinshelf.server.access.key_file import ApiKey
from twinshelf.server.access.rate_limit import RateLimit
from twinshelf.server.access.scopes import Scope
from twinshelf.server.errors import RateLimitedError


def key(key_id: str = "some", *, rate: float, burst: int = 1) -> ApiKey:
    return ApiKey(
        key_id=key_id,
        secret_sha256=bytes(32),
        scope=Scope.READ,
        label="",
        expire_time_s=math.inf,
        is_revoked=False,
        requests_per_second=rate,
        burst_count=burst,
    )


def allowed_count(limit: RateLimit, whose: ApiKey, tries: int) -> int:
    count = 0
    for _ in range(tries):
        try:
            limit.take(whose)
            count += 1
        except RateLimitedError:
            pass
    return count


def test_a_burst_passes_and_the_rest_waits_for_its_second() -> None:
    now_s = 100.0
    limit = RateLimit(clock_s=lambda: now_s)
    shop = key(rate=2, burst=5)
    assert allowed_count(limit, shop, 20) == 5
    with pytest.raises(RateLimitedError, match="2 calls a second, and 5 at once") as raised:
        limit.take(shop)
    assert raised.value.retry_after_s == pytest.approx(0.5)
    now_s += 0.5
    assert allowed_count(limit, shop, 20) == 1
    now_s += 3600
    assert allowed_count(limit, shop, 20) == 5


def test_refused_calls_cost_nothing() -> None:
    now_s = 0.0
    limit = RateLimit(clock_s=lambda: now_s)
    slow = key(rate=0.1)
    allowed = 0
    for tenth in range(1000):  # asked every 0.1 s for 100 s
        now_s = tenth / 10 + 1e-6
        allowed += allowed_count(limit, slow, 1)
    assert allowed == 10


def test_one_key_does_not_use_up_anothers_calls() -> None:
    limit = RateLimit(clock_s=lambda: 0.0)
    assert allowed_count(limit, key("first", rate=1), 9) == 1
    assert allowed_count(limit, key("second", rate=1), 9) == 1


def test_a_key_without_a_limit_is_never_refused() -> None:
    limit = RateLimit(clock_s=lambda: 0.0)
    assert allowed_count(limit, key(rate=math.inf), 10_000) == 10_000


def test_a_lowered_limit_counts_from_the_next_call_on() -> None:
    limit = RateLimit(clock_s=lambda: 0.0)
    limit.take(key(rate=100, burst=100))
    assert allowed_count(limit, key(rate=1, burst=3), 9) == 3
