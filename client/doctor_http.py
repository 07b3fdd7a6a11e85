"""Asks an HTTP server a question, for the checks of Triton and of the metrics."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Final

# More than any answer that is wanted here.
_LONGEST_ANSWER_BYTES: Final = 8 * 1024 * 1024
# The servers are ours and near: a proxy that is set for the web must not be asked for them.
_OPENER: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """What a server answered.

    Attributes:
        status: HTTP status.
        text: Body; what is no UTF-8 is replaced.
    """

    status: int
    text: str


def ask(url: str, timeout_s: float, *, body: bytes | None = None) -> HttpAnswer:
    """Sends a request: GET, or POST when there is a body.

    Args:
        url: Where to, "http://…".
        timeout_s: For each step, seconds.
        body: What to send.

    Raises:
        OSError: If there is no answer.
    """
    request = urllib.request.Request(url, data=body)
    try:
        try:
            answer = _OPENER.open(request, timeout=timeout_s)
        except urllib.error.HTTPError as error:
            answer = error  # an answer as good as any other: its status tells
        with answer:
            text = answer.read(_LONGEST_ANSWER_BYTES).decode("utf-8", "replace")
            return HttpAnswer(status=answer.status, text=text)
    except urllib.error.URLError as error:
        said = getattr(error.reason, "strerror", None) or error.reason
        raise OSError(str(said)) from None
    except http.client.HTTPException as error:
        raise OSError(f"what answers does not speak HTTP ({type(error).__name__})") from None
