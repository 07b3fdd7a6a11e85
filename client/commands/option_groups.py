"""Options that several commands share, written once as a dataclass."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, get_type_hints


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """Replaces each parameter that is a dataclass by the fields of it, for typer to read.

    Args:
        command: Function with annotated parameters; the fields carry typer's options.
    """
    groups: dict[str, type] = {}
    parameters: list[inspect.Parameter] = []
    for name, kind in get_type_hints(command, include_extras=True).items():
        if name == "return":
            continue
        if is_dataclass(kind) and isinstance(kind, type):
            groups[name] = kind
            hints = get_type_hints(kind, include_extras=True)
            parameters += [
                _parameter(field.name, hints[field.name], field.default) for field in fields(kind)
            ]
        else:
            default = inspect.signature(command).parameters[name].default
            parameters.append(_parameter(name, kind, default))

    @functools.wraps(command)
    def gathered(**values: Any) -> None:
        """Puts the fields together again."""
        for name, kind in groups.items():
            values[name] = kind(**{field.name: values.pop(field.name) for field in fields(kind)})
        command(**values)

    gathered.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    gathered.__annotations__ = {each.name: each.annotation for each in parameters}
    return gathered


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if default is MISSING else default,
        annotation=annotation,
    )
