"""Who makes the call that is being answered."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

from twinshelf.server.access.scopes import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The holder of a key.

    Attributes:
        key_id: Names the key; public.
        label: Who uses the key, for people; may be empty.
        scope: What the key allows.
    """

    key_id: str
    label: str
    scope: Scope


caller: ContextVar[Caller | None] = ContextVar("caller", default=None)
"""The caller; None when the service asks for no keys, or the method for none."""
