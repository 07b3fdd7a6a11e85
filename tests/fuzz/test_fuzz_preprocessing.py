"""A few thousand mutated photos and texts, in this process and in others."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.context import ForkContext
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.photo_mutations import make_photo, seed_photos
from tests.fuzz.subjects import SUBJECTS, Subject
from tests.fuzz.text_mutations import make_text
from tests.fuzz.workers import CPU_LIMIT_S, fuzz, run_numbers

pytestmark = pytest.mark.slow

SEED = 20
LIMIT_S = 60.0


def fragile_subject() -> Subject:
    """What crashes at one number and fails at another."""

    def run(data: bytes) -> str:
        if data == b"7":
            os.kill(os.getpid(), signal.SIGKILL)
        if data == b"8":
            raise ZeroDivisionError("eight")
        return "fine"

    return Subject(make=lambda seed, number: str(number).encode(), run=run)


@pytest.mark.parametrize(
    ("subject", "count", "sound"), [("photos", 1500, "pixels"), ("texts", 800, "tokens")]
)
@pytest.mark.filterwarnings("ignore")
def test_whatever_comes_is_turned_to_tensors_or_refused(
    subject: str, count: int, sound: str
) -> None:
    found = run_numbers(SUBJECTS[subject](), SEED, range(count), time.monotonic() + LIMIT_S)

    assert found.failures == []
    assert found.count == sum(found.answers.values()) == count
    assert found.slowest_s < CPU_LIMIT_S
    # Were everything refused, or nothing, the inputs would show little.
    assert count / 10 < found.answers[sound] < count


@pytest.mark.parametrize("make", [make_photo, make_text])
def test_the_same_seed_and_number_give_the_same_input(make: Callable[..., Any]) -> None:
    assert [make(1, n) for n in range(50)] == [make(1, n) for n in range(50)]
    assert len({make(1, n) for n in range(50)} | {make(2, n) for n in range(50)}) > 60


def test_what_is_mutated_is_a_photo_or_a_bomb() -> None:
    for number, photo in enumerate(seed_photos()):
        answer = SUBJECTS["photos"]().run(photo)
        assert answer == "pixels" or "at most" in answer, number


def test_a_crash_is_noticed_and_its_input_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SUBJECTS, "fragile", fragile_subject)
    monkeypatch.setattr(multiprocessing, "get_context", fork_context)
    found = fuzz("fragile", seed=1, count=20, process_count=2, seconds=LIMIT_S, folder=tmp_path)

    assert {number for number, _ in found.failures} == {7, 8}
    assert "died with -9" in dict(found.failures)[7]
    assert "ZeroDivisionError" in dict(found.failures)[8]
    assert (tmp_path / "fragile-1-7").read_bytes() == b"7"


def fork_context(method: str) -> ForkContext:
    """A forked process knows the subject that only this test registers."""
    import multiprocessing.context

    return multiprocessing.context.ForkContext()
