"""What is known of the call at hand, for logs and answers, without passing it to every function.

Each call runs in a task of its own, and a task inherits these values from the one that starts it.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Final

REQUEST_ID_KEY: Final = "x-request-id"
LONGEST_REQUEST_ID: Final = 128

# Empty outside of a call, for callers without a key, and for calls that are not traced.
request_id: ContextVar[str] = ContextVar("twinshelf_request_id", default="")
key_id: ContextVar[str] = ContextVar("twinshelf_key_id", default="")
trace_id: ContextVar[str] = ContextVar("twinshelf_trace_id", default="")
# The caller's address. Kept, for gRPC's own crashes the process once the caller has gone.
peer: ContextVar[str] = ContextVar("twinshelf_peer", default="")


def begin_request(metadata: Iterable[tuple[str, str | bytes]]) -> None:
    """Sets the id of a call: the caller's `x-request-id`, or a new one of 32 hex digits."""
    for key, value in metadata:
        if key == REQUEST_ID_KEY and isinstance(value, str) and value:
            request_id.set(value[:LONGEST_REQUEST_ID])
            return
    request_id.set(uuid.uuid4().hex)
