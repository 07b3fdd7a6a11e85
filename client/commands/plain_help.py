"""Help without the types that typer shows of flags and arguments, and commands by themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import typer
from typer.core import TyperCommand


def _hide_types(command: Any, ctx: Any) -> None:
    """Leaves "<bool>" of flags and "<list[Path]>" of arguments out of the help of commands."""
    for parameter in command.get_params(ctx):
        if parameter.param_type_name == "argument" or parameter.is_flag:
            parameter.display_type_rich = lambda ctx: None
    for inner in getattr(command, "commands", {}).values():
        _hide_types(inner, ctx)


class PlainHelp:
    """Hides the types in the help of the command, or the group of some, that it is mixed into."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Reads the command line.

        Args:
            ctx: What is filled.
            args: The words of the command line.
        """
        _hide_types(self, ctx)
        words: list[str] = super().parse_args(ctx, args)  # type: ignore[misc]
        return words


class _Command(PlainHelp, TyperCommand):
    pass


def run_command(command: Callable[..., None], arguments: Sequence[str] | None = None) -> None:
    """Runs a function as a program of its own.

    Args:
        command: Its annotated parameters are the options.
        arguments: The command line without the program's name; None takes that of the process.

    Raises:
        SystemExit: At its end, with the status.
    """
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(cls=_Command)(command)
    app(arguments)
