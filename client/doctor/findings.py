"""What `twinshelf doctor` finds: one sentence for each check, and what to do where it is bad."""

from __future__ import annotations

import textwrap
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, TextIO, TypeVar

from twinshelf.client.commands.output import write_json
from twinshelf.client.files.findings import count_of

# Narrow enough for any terminal.
WIDTH: Final = 80
_NAME_WIDTH: Final = 11
Result = TypeVar("Result")


class State(Enum):
    """How a check came out; with its mark, and that for terminals that know ASCII only."""

    GOOD = ("✓", "ok")
    DOUBTFUL = ("!", "!")
    BAD = ("✗", "x")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The outcome of one check.

    Attributes:
        name: What was checked, a word or two.
        state: How it came out.
        message: What was seen.
        remedy: What to do, in a sentence; empty when all is well.
    """

    name: str
    state: State
    message: str
    remedy: str = ""


def good(name: str, message: str) -> Finding:
    """Makes the finding of a check that found nothing wrong."""
    return Finding(name=name, state=State.GOOD, message=message)


def doubtful(name: str, message: str, remedy: str) -> Finding:
    """Makes the finding of something that works, or may work, and yet deserves a look."""
    return Finding(name=name, state=State.DOUBTFUL, message=message, remedy=remedy)


def bad(name: str, message: str, remedy: str) -> Finding:
    """Makes the finding of something that is broken."""
    return Finding(name=name, state=State.BAD, message=message, remedy=remedy)


class CheckTimeoutError(Exception):
    """A check did not come to its end in time."""


def bounded(check: Callable[[], Result], timeout_s: float) -> Result:
    """Runs a check in a thread that is left behind when it takes too long.

    Some things have no time-out of their own, such as asking for an address by its name.

    Args:
        check: What to run.
        timeout_s: How long it may take, seconds.

    Raises:
        CheckTimeoutError: If it takes longer.
        Exception: What the check raises.
    """
    answers: list[Result] = []
    errors: list[Exception] = []

    def run() -> None:
        """Keeps what comes of it."""
        try:
            answers.append(check())
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(timeout_s)
    if errors:
        raise errors[0]
    if not answers:
        raise CheckTimeoutError(f"no answer within {timeout_s:g} s")
    return answers[0]


def attempt(
    name: str, check: Callable[[], list[Finding]], timeout_s: float, remedy: str
) -> list[Finding]:
    """Runs a check; whatever goes wrong in it is a finding as well.

    Args:
        name: What is checked.
        check: Returns what it finds.
        timeout_s: How long it may take, seconds.
        remedy: What to do when it comes to no end.
    """
    try:
        return bounded(check, timeout_s)
    except Exception as error:  # the doctor is called when things are broken, and must speak on
        said = str(error) or type(error).__name__
        return [bad(name, f"could not be checked: {said}", remedy)]


def print_findings(findings: Iterable[Finding], stream: TextIO) -> Mapping[State, int]:
    """Prints findings for people, no wider than 80 columns, each as it comes; returns their counts.

    Args:
        findings: What was found, maybe still being found.
        stream: Where to.
    """
    is_plain = not _knows_marks(stream)
    counts = dict.fromkeys(State, 0)
    given: set[str] = set()
    for finding in findings:
        counts[finding.state] += 1
        mark = finding.state.value[is_plain]
        head = f"{mark:<2} {finding.name:<{_NAME_WIDTH}} "
        text = _lines(head, finding.message)
        if finding.remedy:
            remedy = "as above" if finding.remedy in given else finding.remedy
            text += _lines(" " * len(head) + ("-> " if is_plain else "→ "), remedy)
            given.add(finding.remedy)
        encoding = getattr(stream, "encoding", None) or "utf-8"
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
    if counts[State.BAD]:
        stream.write(f"{count_of(counts[State.BAD], 'check')} failed\n")
    elif counts[State.DOUBTFUL]:
        stream.write(f"nothing is broken; {count_of(counts[State.DOUBTFUL], 'doubt')}\n")
    else:
        stream.write("all is well\n")
    stream.flush()
    return counts


def write_findings(findings: Iterable[Finding], stream: TextIO) -> Mapping[State, int]:
    """Writes findings as JSON, one object a line, and last their counts, which it returns.

    Args:
        findings: What was found.
        stream: Where to.
    """
    counts = dict.fromkeys(State, 0)
    for finding in findings:
        counts[finding.state] += 1
        value: dict[str, Any] = {"check": finding.name, "state": finding.state.name.lower()}
        write_json(stream, value | {"message": finding.message, "remedy": finding.remedy})
    write_json(stream, {f"{state.name.lower()}_count": count for state, count in counts.items()})
    return counts


def _lines(head: str, text: str) -> str:
    """Folds a text behind its head; without control characters, which a server may have sent."""
    printable = "".join(each if each.isprintable() else " " for each in text)
    return (
        textwrap.fill(
            printable,
            WIDTH,
            initial_indent=head,
            subsequent_indent=" " * len(head),
            break_on_hyphens=False,
        )
        + "\n"
    )


def _knows_marks(stream: TextIO) -> bool:
    try:
        "✓✗→".encode(getattr(stream, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
