"""The options of `twinshelf keys` and how their values are read."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final

KEYS_VARIABLE: Final = "TWINSHELF_KEYS"
SCOPES: Final = ("read", "write", "admin")

_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_LONGEST: Final = timedelta(days=36_500)


def add_keys_command(commands: argparse._SubParsersAction, environment: Mapping[str, str]) -> None:
    """Adds `keys` and its own commands.

    Args:
        commands: The commands of `twinshelf`.
        environment: Environment variables; TWINSHELF_KEYS names the file.
    """
    keys = commands.add_parser(
        "keys",
        help="make, list, replace and revoke API keys",
        description="Keeps the file of API keys that the service reads (its option --keys). The "
        "service takes up a change within a second; nothing needs to be started again.",
    )
    parents = [_shared_options(environment.get(KEYS_VARIABLE, ""))]
    actions = keys.add_subparsers(dest="keys_command", required=True, metavar="ACTION")
    _add_add(actions, parents)
    actions.add_parser("list", parents=parents, help="print all keys, without their secrets")
    revoke = actions.add_parser("revoke", parents=parents, help="end a key for good, at once")
    revoke.add_argument("key_id", metavar="KEY_ID")
    rotate = actions.add_parser(
        "rotate", parents=parents, help="make a key like another one, which then ends"
    )
    rotate.add_argument("key_id", metavar="KEY_ID")
    rotate.add_argument(
        "--overlap",
        type=read_duration,
        default=timedelta(hours=1),
        metavar="TIME",
        help="how long both keys are valid, such as 30m or 2d (default: 1h)",
    )


def _shared_options(default: str) -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--file",
        type=Path,
        default=Path(default) if default else None,
        required=not default,
        metavar="FILE",
        help=f"the key file [{KEYS_VARIABLE}; default: {default or 'none'}]",
    )
    shared.add_argument(
        "--json",
        action="store_true",
        default=argparse.SUPPRESS,
        help="print JSON, one object a line",
    )
    return shared


def _add_add(actions: argparse._SubParsersAction, parents: list[argparse.ArgumentParser]) -> None:
    add = actions.add_parser(
        "add",
        parents=parents,
        help="make a key and print it, this once",
        description="Makes a key and prints it on standard output, this once: the file keeps no "
        "more than its hash.",
    )
    add.add_argument(
        "--scope",
        choices=SCOPES,
        required=True,
        help="read: match and look; write: store and remove too; admin: everything",
    )
    add.add_argument("--label", default="", metavar="TEXT", help="who uses the key, or what for")
    add.add_argument(
        "--expires", type=_lifetime, metavar="TIME", help="such as 12h or 90d (default: never)"
    )
    add.add_argument(
        "--requests-per-second",
        type=_rate,
        metavar="RATE",
        help="calls a second in the long run; a stream counts once (default: no limit)",
    )
    add.add_argument(
        "--burst",
        dest="burst_count",
        type=_burst,
        metavar="COUNT",
        help="calls that may come at once (default: those of one second)",
    )


def read_duration(text: str) -> timedelta:
    """Reads a time span such as 30m, 12h or 90d.

    Args:
        text: What the user typed: a whole number and one of s, m, h, d, w.

    Raises:
        argparse.ArgumentTypeError: If the text is no such span, or is above 100 years.
    """
    parts = re.fullmatch(r"(\d{1,12})([smhdw])", text)
    if not parts:
        raise argparse.ArgumentTypeError(f"must look like 30m, 12h or 90d, got {text!r}")
    span_s = int(parts[1]) * _UNITS_S[parts[2]]
    if span_s > _LONGEST.total_seconds():
        raise argparse.ArgumentTypeError(f"must be {_LONGEST.days}d at most, got {text!r}")
    return timedelta(seconds=span_s)


def _lifetime(text: str) -> timedelta:
    span = read_duration(text)
    if not span:
        raise argparse.ArgumentTypeError(f"must be above zero, got {text!r}")
    return span


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number above zero, got {text!r}")
    return rate


def _burst(text: str) -> int:
    if text.isdecimal() and 1 <= int(text) < 2**31:
        return int(text)
    raise argparse.ArgumentTypeError(f"must be a whole number, 1 or more, got {text!r}")
