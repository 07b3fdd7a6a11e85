"""Reads the command line of a program, and its environment, into the dataclass of its options.

A field is an option: `data_dir` is `--data-dir` and, where a program reads the environment,
`TWINSHELF_DATA_DIR`. Its type says which values it takes, a tuple takes several, a bool is `--x` or
`--no-x`, and one without a default must be given. The docstring is the help. A field that is such a
dataclass itself stands for the options of that. Training and export read theirs with it too.
Nothing here takes long to import, so that a wrong value is told of before torch is loaded.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from ipaddress import ip_address
from typing import Annotated, Any, NoReturn, TypeVar, get_args, get_origin, get_type_hints

from docstring_parser import DocstringStyle, parse
from jsonargparse import ActionYesNo, ArgumentError, ArgumentParser

Options = TypeVar("Options")
ENVIRONMENT_PREFIX = "TWINSHELF"
WRONG = 2  # exit status of a command line that cannot be used, as argparse has it
_ORDER = "An option wins over its environment variable, and that over the default."
_RANGE = re.compile(r"(above )?([\d.]+)(?: or more|(?: to| and at most) (below )?([\d.]+))?")


def positional(default: Any = MISSING) -> Any:
    """Declares a tuple whose values stand on the command line without a name.

    Args:
        default: What no value stands for; without one there must be some.
    """
    return field(default=default, metadata={"positional": True})


def option(
    default: Any, *, name: str = "", read: Callable[[Any], Any] = lambda value: value
) -> Any:
    """Declares an option of another name than its field, or whose value is put in order.

    Args:
        default: Default of the field.
        name: Name of the option, as a field's; "" takes the field's own.
        read: Makes the field's value of the option's, which is of the same type.
    """
    return field(default=default, metadata={"name": name, "read": read})


def text_option(read: Callable[[str], Any]) -> Any:
    """Declares an option that is typed as text; `read` makes the value of it, or a ValueError.

    The default is what it makes of an empty text.
    """
    return field(default_factory=lambda: read(""), metadata={"is_text": True, "read": read})


def check_ranges(options: object, prefix: str = "") -> None:
    """Checks numbers whose type is `Annotated[int, "1 or more"]`; None passes.

    Args:
        options: A dataclass; those in its fields are checked too. A range is "1 or more",
            "above 0", "0 to 0.5", "0 to below 1" or "above 0 and at most 1".
        prefix: What stands before the name of a field in an error.

    Raises:
        ValueError: If a number is out of range.
    """
    for name, hint in get_type_hints(type(options), include_extras=True).items():
        value = getattr(options, name)
        for part in value if isinstance(value, tuple) else (value,):
            if is_dataclass(part):
                check_ranges(part, f"{prefix}{name}.")
        if get_origin(hint) is Annotated and isinstance(value, int | float):
            words = hint.__metadata__[0]
            if not _is_within(value, words):
                raise ValueError(f"{prefix}{name} must be {words}, got {value}")


def read_command_line(
    kind: type[Options],
    program: str,
    arguments: Sequence[str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Options:
    """Reads the options of a program.

    Args:
        kind: Dataclass of the options; its `Attributes` are their help.
        program: Module that `python -m` runs.
        arguments: The command line without the program's name; None takes that of the process.
        environment: Environment variables; those of other programs and empty ones are ignored.
            None reads none.

    Raises:
        SystemExit: After the help (0), or when an option is unknown, missing, of the wrong type or
            out of range (2); one sentence on standard error then says what was expected.
    """
    parser = build_parser(kind, program, has_environment=environment is not None)
    parser.set_defaults(_read_environment(parser, kind, environment or {}))
    try:
        given = parser.parse_args(sys.argv[1:] if arguments is None else arguments).as_dict()
        options: Options = _made(kind, given)
        return options
    except (ArgumentError, ValueError) as error:
        refuse(error, {each.name: option_name(each.name) for each in _options(kind)})


def build_parser(kind: type, program: str, *, has_environment: bool = False) -> ArgumentParser:
    """Returns the parser of a dataclass of options; it raises `ArgumentError`."""
    documented = parse(kind.__doc__ or "", DocstringStyle.GOOGLE)
    parser = ArgumentParser(
        prog=f"python -m {program}",
        usage="%(prog)s [options]",
        description=documented.short_description,
        epilog=_ORDER if has_environment else documented.long_description,
        allow_abbrev=False,
        exit_on_error=False,
        env_prefix=ENVIRONMENT_PREFIX,
    )
    for each in _options(kind):
        _add_option(parser, each, has_environment=has_environment)
    return parser


def refuse(error: Exception | str, shown: Mapping[str, str] | None = None) -> NoReturn:
    """Says in one line what is wrong with a command line, and ends the process.

    Args:
        error: Of jsonargparse, or one that begins with the name of a field.
        shown: What stands for a field in the sentence.

    Raises:
        SystemExit: Always, with status 2.
    """
    text = " ".join(str(error).split())
    text = re.sub(r"<class '(?:\w+\.)*(\w+)'>|typing\.", r"\1", text)
    text = re.sub(r'^Parser key "([\w.]+)"(?: element \d+)?:', r"\1:", text)
    text = re.sub(r"^([\w.]+): Expected an? (.*)\. Got value: ", r"\1 must be \2, got ", text)
    # Of the words within those that are no ordinary ones, nor part of a path.
    fields_named = r"^\w+|(?<![\w./-])\w+_\w+(?![\w./-])"
    text = re.sub(fields_named, lambda word: (shown or {}).get(word[0], word[0]), text)
    sys.stderr.write(f"error: {text}; --help lists the options\n")
    raise SystemExit(WRONG)


def option_name(field_name: str) -> str:
    """Returns the option of a field on the command line."""
    return "--" + field_name.replace("_", "-")


def environment_name(field_name: str) -> str:
    """Returns the environment variable of a field."""
    return f"{ENVIRONMENT_PREFIX}_{field_name.upper()}"


def is_ipv6(host: str) -> bool:
    """Tells whether a host is a number of IPv6, which in host:port stands in brackets."""
    try:
        return ip_address(host).version == 6
    except ValueError:
        return False


def _is_within(value: float, words: str) -> bool:
    parts = _RANGE.fullmatch(words)
    assert parts is not None, f"{words!r} is no range"
    above, least, below, most = parts.groups()
    is_enough = value > float(least) if above else value >= float(least)
    return is_enough and (not most or value < float(most) or not below and value == float(most))


@dataclass(frozen=True, slots=True)
class _Option:
    name: str
    field: Field[Any]
    hint: Any
    help: str


def _options(kind: type) -> Iterator[_Option]:
    """Yields the options of a dataclass; those of a part take its place."""
    described = parse(kind.__doc__ or "", DocstringStyle.GOOGLE).params
    docs = {each.arg_name: " ".join((each.description or "").split()) for each in described}
    hints = get_type_hints(kind)
    for each in fields(kind):
        if is_dataclass(hints[each.name]):
            yield from _options(hints[each.name])
        else:
            name = each.metadata.get("name") or each.name
            yield _Option(name, each, hints[each.name], docs[each.name])


def _made(kind: type, given: Mapping[str, Any]) -> Any:
    """Makes a dataclass of what was typed, its parts first, and checks its ranges."""
    values: dict[str, Any] = {}
    hints = get_type_hints(kind)
    for each in fields(kind):
        name = each.metadata.get("name") or each.name
        if is_dataclass(hints[each.name]):
            values[each.name] = _made(hints[each.name], given)
        else:
            value = tuple(given[name]) if isinstance(given[name], list) else given[name]
            values[each.name] = each.metadata.get("read", lambda given: given)(value)
    made = kind(**values)
    check_ranges(made)
    return made


def _add_option(parser: ArgumentParser, option: _Option, *, has_environment: bool) -> None:
    default, metadata = option.field.default, option.field.metadata
    variable = f" [{environment_name(option.name)}]" if has_environment else ""
    settings: dict[str, Any] = {"help": option.help + variable}
    if option.hint is bool:
        settings |= {"action": ActionYesNo(yes_prefix="", no_prefix="no-")}
    elif get_origin(option.hint) is tuple:
        nargs = "+" if default is MISSING else "*"
        settings |= {"type": get_args(option.hint)[0], "nargs": nargs}
        default = list(default) if isinstance(default, tuple) else default
    elif metadata.get("is_text"):
        settings |= {"type": str}
        default = ""
    else:
        settings |= {"type": option.hint}
    if metadata.get("positional"):
        parser.add_argument(option.name, **settings)
        return
    settings |= {"required": True} if default is MISSING else {"default": default}
    parser.add_argument(option_name(option.name), **settings)


def _read_environment(
    parser: ArgumentParser, kind: type, environment: Mapping[str, str]
) -> dict[str, Any]:
    """Returns the values of the variables that are set, by the names of their options."""
    values = {}
    for each in _options(kind):
        variable = environment_name(each.name)
        if text := environment.get(variable, ""):
            known = {"1": "true", "0": "false"} if each.hint is bool else {}
            try:
                values[each.name] = parser.parse_env({variable: known.get(text, text)})[each.name]
            except ArgumentError as error:
                # Of a bool, jsonargparse does not say which it is.
                unread = f"{each.name} must be true or false, got {text}"
                refuse(unread if each.hint is bool else error, {each.name: variable})
    return values
