"""When a fault counts as over."""

from __future__ import annotations

from tests.soak.watched_load import Call, served_again_s

GOOD = [Call(sent_s=10 + n / 20, ended_s=10.01 + n / 20, code="OK") for n in range(60)]


def test_a_fault_that_nobody_noticed_is_over_after_two_good_seconds() -> None:
    assert served_again_s(GOOD, set(), fault_s=10.0) == 0.0
    assert served_again_s(GOOD[:30], set(), fault_s=10.0) is None


def test_what_was_sent_behind_an_open_call_does_not_count_yet() -> None:
    hung = 10.52
    assert served_again_s(GOOD, {hung}, fault_s=10.0) is None
    ended = Call(sent_s=hung, ended_s=hung + 1.1, code="UNAVAILABLE")
    assert served_again_s([*GOOD, ended], set(), fault_s=10.0) == 0.55
