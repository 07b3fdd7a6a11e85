"""Reads a command line, and an environment, into a dataclass: a field is an option and a variable.

`in_flight_limit` is `--in-flight-limit` and, where a program reads the environment,
`TWINSHELF_IN_FLIGHT_LIMIT`. A tuple takes several values, a bool is `--x` or `--no-x`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import Field, field, fields
from ipaddress import ip_address
from typing import Any, NoReturn, TypeVar, cast, get_args, get_origin, get_type_hints

from jsonargparse import ActionYesNo, ArgumentError, ArgumentParser

Options = TypeVar("Options")
ENVIRONMENT_PREFIX = "TWINSHELF"
WRONG = 2  # exit status of a command line that cannot be used, as argparse has it


def option(
    default: object,
    doc: str,
    *,
    low: float | None = None,
    high: float | None = None,
    is_positional: bool = False,
) -> Any:
    """Declares a field together with its documentation and its range.

    Args:
        default: Its value when the command line and the environment have none.
        doc: What it means.
        low: Least value.
        high: Largest value.
        is_positional: Whether its values stand on the command line without a name; it is a tuple.
    """
    metadata = {"doc": doc, "low": low, "high": high, "is_positional": is_positional}
    return field(default=default, metadata=metadata)


def check_ranges(options: Any) -> None:
    """Checks the values of a dataclass against the ranges that its fields declare.

    Raises:
        ValueError: If a value is out of range; the message names the field and the range.
    """
    for each in fields(options):
        value, low, high = getattr(options, each.name), each.metadata["low"], each.metadata["high"]
        if value is None:
            continue
        if low is not None and not value >= low:
            raise ValueError(f"{each.name} must be {low} or more, got {value}")
        if high is not None and not value <= high:
            raise ValueError(f"{each.name} must be {high} or less, got {value}")


def option_name(field_name: str) -> str:
    """Returns the option of a field on the command line."""
    return "--" + field_name.replace("_", "-")


def environment_name(field_name: str) -> str:
    """Returns the environment variable of a field."""
    return f"{ENVIRONMENT_PREFIX}_{field_name.upper()}"


def build_parser(kind: type, program: str, *, has_environment: bool) -> ArgumentParser:
    """Builds the parser of a dataclass of options; it raises `ArgumentError`."""
    order = "An option wins over its environment variable, and that over the default."
    parser = ArgumentParser(
        prog=f"python -m {program}",
        usage="%(prog)s [options]",
        description=(kind.__doc__ or "").partition("\n")[0],
        epilog=order if has_environment else None,
        allow_abbrev=False,
        exit_on_error=False,
        env_prefix=ENVIRONMENT_PREFIX,
    )
    hints = get_type_hints(kind)
    for each in fields(kind):
        hint, default = hints[each.name], cast(Any, each.default)
        settings: dict[str, Any] = {"help": each.metadata["doc"]}
        if has_environment:
            settings["help"] += f" [{environment_name(each.name)}]"
        if hint is bool:
            settings |= {"action": ActionYesNo(yes_prefix="", no_prefix="no-")}
        elif get_origin(hint) is tuple:
            settings |= {"type": get_args(hint)[0], "nargs": "*"}
            default = list(default)
        else:
            settings |= {"type": hint}
        if each.metadata["is_positional"]:
            parser.add_argument(each.name, **settings)
        else:
            parser.add_argument(option_name(each.name), default=default, **settings)
    return parser


def read_options(
    kind: type[Options],
    program: str,
    arguments: Sequence[str],
    environment: Mapping[str, str] | None = None,
) -> Options:
    """Reads the options of a program; an option wins over its variable, and that over the default.

    Args:
        kind: Dataclass whose fields are declared by `option`.
        program: Module that `python -m` runs.
        arguments: The command line without the program's name.
        environment: Environment variables; those of other programs and empty ones are ignored.
            None reads none.

    Raises:
        SystemExit: After the help (0), or when a value is unknown, of the wrong type or out of
            range (2); one sentence on standard error then says what was expected.
    """
    parser = build_parser(kind, program, has_environment=environment is not None)
    options: dict[str, Field[Any]] = {each.name: each for each in fields(kind)}  # type: ignore[arg-type]
    parser.set_defaults(_read_environment(parser, options.values(), environment or {}))
    try:
        given = parser.parse_args(arguments).as_dict()
        return kind(**{name: tuple(v) if isinstance(v, list) else v for name, v in given.items()})
    except ArgumentError as error:
        found = re.match(r'Parser key "(\w+)".*Got value: (.*)', str(error), re.DOTALL)
        if not found:
            _refuse(str(error))
        _refuse(f"{option_name(found[1])} must be {options[found[1]].type}, got {found[2]!r}")
    except ValueError as error:
        name, _, rest = str(error).partition(" ")
        # Of the others those that are no ordinary words.
        others = {each for each in options if "_" in each}
        named = re.sub(r"\w+", lambda w: option_name(w[0]) if w[0] in others else w[0], rest)
        _refuse(f"{option_name(name)} {named}")


def is_ipv6(host: str) -> bool:
    """Tells whether a host is a number of IPv6, which in host:port stands in brackets."""
    try:
        return ip_address(host).version == 6
    except ValueError:
        return False


def _read_environment(
    parser: ArgumentParser, options: Iterable[Field[Any]], environment: Mapping[str, str]
) -> dict[str, Any]:
    """Returns the values of the variables that are set, by the names of their fields."""
    values = {}
    for each in options:
        variable = environment_name(each.name)
        if text := environment.get(variable, ""):
            known = {"1": "true", "0": "false"} if each.type == "bool" else {}
            try:
                values[each.name] = parser.parse_env({variable: known.get(text, text)})[each.name]
            except ArgumentError:
                _refuse(f"{variable} must be {each.type}, got {text!r}")
    return values


def _refuse(sentence: str) -> NoReturn:
    sys.stderr.write(f"error: {sentence}; --help lists the options\n")
    raise SystemExit(WRONG)
