"""Stop signals become one exception, and the handlers of before come back."""

from __future__ import annotations

import os
import signal

import pytest

from client.demo.__main__ import main
from client.demo.signals import STOP_SIGNALS, StopRequestedError, stop_requests


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_raises_once_and_a_second_one_is_ignored(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    cleaned_up = False
    with pytest.raises(StopRequestedError, match=number.name), stop_requests():
        try:
            os.kill(os.getpid(), number)
        finally:
            os.kill(os.getpid(), number)
            cleaned_up = True
    assert cleaned_up and signal.getsignal(number) is before


def test_the_demonstration_says_what_it_lacks_and_exits_1(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--data", "grocery"]) == 1
    assert "make demo DATA=grocery DATA_DIR=..." in capsys.readouterr().out
