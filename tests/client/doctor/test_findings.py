"""How findings are printed, and that no check can stop the others."""

from __future__ import annotations

import io
import json
import time

import pytest

from twinshelf.client.doctor.findings import (
    CheckTimeoutError,
    Finding,
    State,
    attempt,
    bad,
    bounded,
    doubtful,
    good,
    print_findings,
    write_findings,
)

FINDINGS = [
    good("address", "answers"),
    doubtful("catalogue", "it is empty", "Store products."),
    bad("health", "it says\n\x1b[31m" + "much and more " * 20, "Read the log " + "again " * 30),
]


def printed(findings: list[Finding], encoding: str = "utf-8") -> list[str]:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    print_findings(findings, stream)
    stream.flush()
    return raw.getvalue().decode(encoding).splitlines()


def test_each_check_has_its_mark_and_what_to_do() -> None:
    lines = printed(FINDINGS)
    assert lines[0].split() == ["✓", "address", "answers"]
    assert lines[1].split()[:2] == ["!", "catalogue"] and lines[2].strip() == "→ Store products."
    assert lines[3].startswith("✗  health") and lines[-1] == "1 check failed"


def test_no_line_is_wider_than_80_columns_or_holds_control_characters() -> None:
    lines = printed(FINDINGS)
    assert max(map(len, lines)) <= 80
    assert "".join(lines).isprintable()


def test_a_terminal_without_the_marks_gets_letters() -> None:
    lines = printed([*FINDINGS, good("name", "чай")], "ascii")
    assert lines[0].startswith("ok address") and lines[2].strip() == "-> Store products."
    assert lines[3].startswith("x  health") and "\\u0447" in lines[-2]


@pytest.mark.parametrize(("count", "last"), [(1, "all is well"), (2, "nothing is broken; 1 doubt")])
def test_the_last_line_sums_up(count: int, last: str) -> None:
    assert printed(FINDINGS[:count])[-1] == last


def test_what_was_said_once_is_not_repeated() -> None:
    lines = printed([bad("one", "broken", "Mend it."), bad("two", "broken", "Mend it.")])
    assert [line.strip() for line in lines if "→" in line] == ["→ Mend it.", "→ as above"]


def test_json_is_an_object_a_line_and_the_counts() -> None:
    stream = io.StringIO()
    write_findings(FINDINGS, stream)
    first, *_, last = map(json.loads, stream.getvalue().splitlines())
    assert first == {"check": "address", "state": "good", "message": "answers", "remedy": ""}
    assert last == {"good_count": 1, "doubtful_count": 1, "bad_count": 1}


def test_a_check_that_takes_too_long_is_left_behind() -> None:
    started_s = time.monotonic()
    with pytest.raises(CheckTimeoutError, match=r"within 0.05 s"):
        bounded(lambda: time.sleep(5), 0.05)
    assert time.monotonic() - started_s < 3


def test_a_check_that_fails_is_a_finding() -> None:
    def fail() -> list[Finding]:
        raise RuntimeError("broken")

    (finding,) = attempt("thing", fail, 1, "Mend it.")
    assert finding.state is State.BAD and "broken" in finding.message
    assert finding.remedy == "Mend it."
