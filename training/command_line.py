"""Reads the command line of a program into the dataclass of its options.

A field is an option: `data_dir` is `--data-dir`. Its type says which values it takes, a tuple takes
several, a bool is a flag, and one without a default must be given. The docstring is the help. A
field that is such a dataclass itself stands for the options of that.
Nothing here takes long to import, so that a wrong value is told of before torch is loaded.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from typing import Annotated, Any, Literal, NoReturn, TypeVar, get_args, get_origin, get_type_hints

from docstring_parser import DocstringStyle, parse
from jsonargparse import ArgumentError, ArgumentParser

Device = Literal["auto", "cpu", "cuda"]
Options = TypeVar("Options")
_RANGE = re.compile(r"(above )?([\d.]+)(?: or more|(?: to| and at most) (below )?([\d.]+))?")
WRONG = 2  # exit status of a command line that cannot be read, as argparse has it


def positional() -> Any:
    """Declares a tuple whose values, one or more, stand on the command line without a name."""
    return field(metadata={"positional": True})


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


def choose_device(device: str) -> str:
    """Returns the device to compute on: "auto" takes a GPU if there is one, another name itself."""
    if device != "auto":
        return device
    from torch import cuda  # here, since it takes seconds

    return "cuda" if cuda.is_available() else "cpu"


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
    kind: type[Options], program: str, arguments: Sequence[str] | None = None
) -> Options:
    """Reads the options of a program.

    Args:
        kind: Dataclass of the options; its `Attributes` are their help.
        program: Module that `python -m` runs.
        arguments: The command line without the program's name; None takes that of the process.

    Raises:
        SystemExit: After the help (0), or when an option is unknown, missing, of the wrong type or
            out of range (2); one sentence on standard error then says what was expected.
    """
    parser = build_parser(kind, program)
    try:
        given = parser.parse_args(sys.argv[1:] if arguments is None else arguments).as_dict()
        return _made(kind, given)
    except (ArgumentError, ValueError) as error:
        refuse(error, [each.name for each in _options(kind)])


def run_command(
    kind: type[Options],
    program: str,
    work: Callable[[Options], None],
    arguments: Sequence[str] | None = None,
) -> int:
    """Reads the options of a program and does its work.

    Args:
        kind: As in `read_command_line`, like `program` and `arguments`.
        program: Module that `python -m` runs.
        work: What is done. It imports by itself what takes seconds to load.
        arguments: The command line.

    Returns:
        0; or 1 where the work could not be done, the reason then being on standard error.

    Raises:
        SystemExit: As `read_command_line`.
    """
    options = read_command_line(kind, program, arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        work(options)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"{program.rpartition('.')[2]} failed: {error}\n")
        return 1
    return 0


def build_parser(kind: type, program: str) -> ArgumentParser:
    """Returns the parser of a dataclass of options; it raises `ArgumentError`."""
    documented = parse(kind.__doc__ or "", DocstringStyle.GOOGLE)
    parser = ArgumentParser(
        prog=f"python -m {program}",
        usage="%(prog)s [options]",
        description=documented.short_description,
        epilog=documented.long_description,
        allow_abbrev=False,
        exit_on_error=False,
    )
    for each in _options(kind):
        _add_option(parser, each)
    return parser


def refuse(error: Exception, names: Sequence[str] = ()) -> NoReturn:
    """Says in one line what is wrong with a command line, and ends the process.

    Args:
        error: Of jsonargparse, or of a check of ranges, which begins with the name of the field.
        names: Fields that are options; what else it begins with is left as it is.

    Raises:
        SystemExit: Always, with status 2.
    """
    text = " ".join(str(error).split())
    text = re.sub(r"<class '(?:\w+\.)*(\w+)'>|typing\.", r"\1", text)
    text = re.sub(r'^Parser key "([\w.]+)"(?: element \d+)?:', r"\1:", text)
    text = re.sub(r"^([\w.]+): Expected an? (.*)\. Got value: ", r"\1 must be \2, got ", text)
    if (start := re.match(r"\w+", text)) and start[0] in names:
        text = _option_name(start[0]) + text[start.end() :]
    sys.stderr.write(f"error: {text}; --help lists the options\n")
    raise SystemExit(WRONG)


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


def _add_option(parser: ArgumentParser, option: _Option) -> None:
    default, metadata = option.field.default, option.field.metadata
    settings: dict[str, Any] = {"help": option.help}
    if option.hint is bool:
        settings |= {"action": "store_true"}
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
    parser.add_argument(_option_name(option.name), **settings)


def _option_name(field_name: str) -> str:
    return "--" + field_name.replace("_", "-")
