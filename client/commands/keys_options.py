"""The options of `twinshelf keys` and how their values are read."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from twinshelf.client.commands.options import GREATEST_COUNT, read_positive

KEYS_VARIABLE: Final = "TWINSHELF_KEYS"
_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_LONGEST: Final = timedelta(days=36_500)


def read_duration(text: str) -> timedelta:
    """Reads a time span such as 30m, 12h or 90d.

    Args:
        text: What the user typed: a whole number and one of s, m, h, d, w.

    Raises:
        typer.BadParameter: If the text is no such span, or is above 100 years.
    """
    parts = re.fullmatch(r"(\d{1,12})([smhdw])", text)
    if not parts:
        raise typer.BadParameter(f"must look like 30m, 12h or 90d, got {text!r}")
    span_s = int(parts[1]) * _UNITS_S[parts[2]]
    if span_s > _LONGEST.total_seconds():
        raise typer.BadParameter(f"must be {_LONGEST.days}d at most, got {text!r}")
    return timedelta(seconds=span_s)


def read_lifetime(text: str) -> timedelta:
    """Reads a time span above zero.

    Raises:
        typer.BadParameter: If the text is none.
    """
    span = read_duration(text)
    if not span:
        raise typer.BadParameter(f"must be above zero, got {text!r}")
    return span


FileOption = Annotated[
    Path, typer.Option("--file", metavar="FILE", envvar=KEYS_VARIABLE, help="The key file.")
]
KeyIdArgument = Annotated[str, typer.Argument(metavar="KEY_ID")]
ScopeOption = Annotated[
    Literal["read", "write", "admin"],
    typer.Option(help="read: match and look; write: store and remove too; admin: everything."),
]
LabelOption = Annotated[str, typer.Option(metavar="TEXT", help="Who uses the key, or what for.")]
ExpiresOption = Annotated[
    timedelta | None,
    typer.Option(parser=read_lifetime, metavar="TIME", help="Such as 12h or 90d (default: never)."),
]
RateOption = Annotated[
    float | None,
    typer.Option(
        "--requests-per-second",
        parser=read_positive,
        metavar="RATE",
        help="Calls a second in the long run; a stream counts once (default: no limit).",
    ),
]
BurstOption = Annotated[
    int | None,
    typer.Option(
        "--burst",
        min=1,
        max=GREATEST_COUNT,
        metavar="COUNT",
        help="Calls that may come at once (default: those of one second).",
    ),
]
OverlapOption = Annotated[
    timedelta,
    typer.Option(
        parser=read_duration,
        metavar="TIME",
        help="How long both keys are valid, such as 30m or 2d.",
    ),
]
