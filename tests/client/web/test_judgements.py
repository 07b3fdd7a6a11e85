"""The pairs that people judge, whoever and however many they are."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from twinshelf.client.records import Product
from twinshelf.client.web.judgements import HOLD_S, CandidatePair, Judgements


class Clock:
    """Tells the time that a test wants."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        self.now_s += 1
        return self.now_s


def pair(left: str, right: str, probability: float = 0.5, score: float = 0.9) -> CandidatePair:
    return CandidatePair(
        left_key=left,
        right_key=right,
        left=Product(product_id=left, title="Red tea", attributes={"colour": "red"}, price=2.5),
        right=Product(product_id=right, title="Tea, red"),
        score=score,
        probability=probability,
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def judgements(tmp_path: Path, clock: Clock) -> Judgements:
    return Judgements(tmp_path / "judgements.sqlite", clock)


def take(judgements: Judgements, reviewer: str) -> int:
    found = judgements.next_pair(reviewer)
    assert found is not None
    return found.pair_id


def test_the_most_uncertain_pair_comes_first_and_whole(judgements: Judgements) -> None:
    judgements.add([pair("a", "b", 0.9), pair("c", "d", 0.45), pair("e", "f", 0.1)])
    found = judgements.next_pair("anna")
    assert found is not None and found.left == pair("c", "d").left and found.probability == 0.45


def test_a_pair_is_kept_once_in_whichever_order(judgements: Judgements) -> None:
    assert judgements.add([pair("a", "b"), pair("b", "a")]) == 1
    assert judgements.add([pair("b", "a", 0.2), pair("b", "c")]) == 1


def test_no_pair_is_shown_twice(judgements: Judgements) -> None:
    judgements.add([pair("a", "b"), pair("c", "d")])
    first = take(judgements, "anna")
    assert take(judgements, "anna") == first  # as long as it waits for her
    assert judgements.judge(first, "anna", "same")
    assert take(judgements, "anna") != first
    assert judgements.add([pair("a", "b")]) == 0


@pytest.mark.slow
def test_two_people_at_once_never_get_the_same_pair(judgements: Judgements) -> None:
    judgements.add([pair(f"a{n}", f"b{n}") for n in range(40)])

    def review(reviewer: str) -> Sequence[int]:
        seen = []
        while (found := judgements.next_pair(reviewer)) is not None:
            seen.append(found.pair_id)
            assert judgements.judge(found.pair_id, reviewer, "same")
        return seen

    with ThreadPoolExecutor(4) as people:
        seen = [each for ids in people.map(review, ["anna", "ben", "cleo", "dan"]) for each in ids]
    assert sorted(seen) == list(range(1, 41))


def test_what_is_left_lying_goes_to_another(judgements: Judgements, clock: Clock) -> None:
    judgements.add([pair("a", "b")])
    held = take(judgements, "anna")
    assert judgements.next_pair("ben") is None
    clock.now_s += HOLD_S + 1
    assert take(judgements, "ben") == held
    assert not judgements.judge(held, "anna", "same")
    assert judgements.judge(held, "ben", "different")
    assert not judgements.judge(held, "ben", "same")


def test_a_judgement_can_be_taken_back_by_whoever_made_it(judgements: Judgements) -> None:
    judgements.add([pair("a", "b"), pair("c", "d"), pair("e", "f")])
    first = take(judgements, "anna")
    judgements.judge(first, "anna", "same")
    second = take(judgements, "anna")
    judgements.judge(second, "anna", "unsure")
    take(judgements, "anna")
    assert not judgements.undo("ben")
    assert judgements.undo("anna") and take(judgements, "anna") == second
    assert judgements.undo("anna") and take(judgements, "anna") == first
    assert not judgements.undo("anna")
    assert judgements.counts().open_count == 3


def test_judgements_outlive_the_page(judgements: Judgements, tmp_path: Path) -> None:
    judgements.add([pair("a", "b"), pair("c", "d")])
    judgements.judge(take(judgements, "anna"), "anna", "different")
    judgements.keep_place("catalogue", "p7")
    again = Judgements(tmp_path / "judgements.sqlite")
    counts = again.counts()
    assert (counts.open_count, counts.different_count, counts.same_count) == (1, 1, 0)
    assert [each.verdict for each in again.judged()] == ["different"]
    assert again.place("catalogue") == "p7" and again.place("other") == ""


def test_no_file_tells_what_the_page_knows_a_reviewer_by(
    judgements: Judgements, tmp_path: Path
) -> None:
    judgements.add([pair("a", "b"), pair("c", "d")])
    judgements.judge(take(judgements, "anna"), "anna", "same")
    with closing(sqlite3.connect(tmp_path / "judgements.sqlite")) as reader:
        reader.execute("SELECT 1 FROM pairs").fetchall()  # keeps the log beside it
        take(judgements, "anna")
        files = list(tmp_path.iterdir())
        assert len(files) > 1 and not any(b"anna" in each.read_bytes() for each in files)
        assert {each.stat().st_mode & 0o777 for each in files} == {0o600}
    (judged,) = judgements.judged()
    assert re.fullmatch("[0-9a-f]{16}", judged.judged_by)


def test_a_file_of_before_loses_what_its_reviewers_were_known_by(
    judgements: Judgements, tmp_path: Path, clock: Clock
) -> None:
    path = tmp_path / "judgements.sqlite"
    judgements.add([pair("a", "b"), pair("c", "d")])
    first = take(judgements, "anna")
    judgements.judge(first, "anna", "same")
    second = take(judgements, "anna")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA user_version = 0")
        for column in ("holder", "judged_by"):
            database.execute(f"UPDATE pairs SET {column} = 'anna' WHERE {column} != ''")
    path.chmod(0o644)
    for _ in range(2):  # once, however often it is opened
        again = Judgements(path, clock)
    assert b"anna" not in path.read_bytes() and path.stat().st_mode & 0o777 == 0o600
    assert take(again, "anna") == second and again.undo("anna") and take(again, "anna") == first


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("no database " * 100)
    with pytest.raises(ValueError, match="cannot be used for judgements"):
        Judgements(tmp_path / "notes")
