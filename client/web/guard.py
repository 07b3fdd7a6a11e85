"""What every request passes: who asks, whether the page itself sent the form, how much may come.

A visitor is a random cookie, which comes along when a link of another site is followed, but with
nothing else of another site. The token in each form is made of it and of a secret of this process,
so that no other site can make a browser change anything here.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from starlette.datastructures import FormData, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE: Final = "twinshelf_visitor"
TOKEN_FIELD: Final = "token"
LARGEST_TABLE_BYTES: Final = 256 * 1024 * 1024
LARGEST_PHOTO_BYTES: Final = 8 * 1024 * 1024
# What a form holds besides its files.
_FORM_BYTES: Final = 256 * 1024
_TABLE_PATHS: Final = ("/catalogue/uploads", "/compare/files", "/review/offers")
_HEADERS: Final = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class Guard:
    """Gives each visitor a name, each answer its headers, and each request body an end."""

    def __init__(self, app: ASGIApp) -> None:
        """Draws the secret behind the tokens.

        Args:
            app: What is guarded.
        """
        self._app = app
        self._secret = secrets.token_bytes(32)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets a request through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = _cookie(Request(scope))
        visitor = given or secrets.token_hex(16)
        scope.setdefault("state", {})["visitor"] = visitor
        scope["state"]["is_returning"] = bool(given)
        scope["state"]["token"] = hmac.new(
            self._secret, visitor.encode(), hashlib.sha256
        ).hexdigest()

        async def send_with_headers(message: Message) -> None:
            """Adds what every answer has."""
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
                if not given:
                    headers.append(
                        "set-cookie", f"{COOKIE}={visitor}; Path=/; HttpOnly; SameSite=Lax"
                    )
            await send(message)

        await self._app(scope, _limited(receive, _limit_bytes(scope["path"])), send_with_headers)


def visitor_of(request: Request) -> str:
    """Returns the name of whoever asks: 32 hex digits."""
    return str(request.state.visitor)


def is_returning(request: Request) -> bool:
    """Whether the cookie came with the request: another site brings it only by a link."""
    return bool(request.state.is_returning)


@asynccontextmanager
async def sent_form(request: Request) -> AsyncIterator[FormData]:
    """Gives the form of a call that changes something; its files are dropped at the end.

    Args:
        request: Of a method other than GET.

    Raises:
        HTTPException: 403 if no page of ours sent it; 413 if it is too large.
    """
    async with request.form(max_files=2, max_fields=100) as form:
        given = form.get(TOKEN_FIELD)
        if not isinstance(given, str) or not hmac.compare_digest(
            given.encode(), request.state.token.encode()
        ):
            raise HTTPException(403, "This form is out of date: load the page again and repeat.")
        yield form


def _cookie(request: Request) -> str:
    value = request.cookies.get(COOKIE, "")
    return value if len(value) == 32 and set(value) <= set("0123456789abcdef") else ""


def _limit_bytes(path: str) -> int:
    file_bytes = LARGEST_TABLE_BYTES if path in _TABLE_PATHS else LARGEST_PHOTO_BYTES
    return file_bytes + _FORM_BYTES


def _limited(receive: Receive, limit_bytes: int) -> Receive:
    come_bytes = 0

    async def receive_some() -> Message:
        """Counts what comes."""
        nonlocal come_bytes
        message = await receive()
        come_bytes += len(message.get("body", b""))
        # A browser shows the answer only when it could send nearly all of what it has.
        while limit_bytes < come_bytes < 4 * limit_bytes and message.get("more_body"):
            message = await receive()
            come_bytes += len(message.get("body", b""))
        if come_bytes > limit_bytes:
            raise HTTPException(
                413, f"That is too large: at most {limit_bytes // 2**20} MiB are taken here."
            )
        return message

    return receive_some
