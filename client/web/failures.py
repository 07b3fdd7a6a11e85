"""What a visitor reads when something fails: a sentence and what to do, never a stack trace."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse

from twinshelf.client import errors
from twinshelf.client.web.pages import page
from twinshelf.client.web.state import state_of

_STATUSES: Final[dict[type[errors.TwinshelfError], int]] = {
    errors.InvalidRequestError: 400,
    errors.ProductNotFoundError: 404,
    errors.GroupNotFoundError: 404,
    errors.PreconditionError: 409,
    errors.UnauthenticatedError: 401,
    errors.PermissionDeniedError: 403,
    errors.ServiceBusyError: 503,
    errors.ServiceUnavailableError: 503,
    errors.DeadlineError: 504,
}


def status_of(error: errors.TwinshelfError) -> int:
    """Returns the HTTP status of an error of the service."""
    return _STATUSES.get(type(error), 502)


async def service_failed(request: Request, error: Exception) -> HTMLResponse:
    """Answers a request that the matching service let fail."""
    assert isinstance(error, errors.TwinshelfError)
    if isinstance(error, errors.UnauthenticatedError):
        state_of(request).service.wants_keys = True
    return _failure(request, error.message, status_of(error))


async def refused(request: Request, error: Exception) -> HTMLResponse:
    """Answers a request that the page itself refuses."""
    assert isinstance(error, HTTPException)
    is_nowhere = error.detail == HTTPStatus.NOT_FOUND.phrase  # of no handler of ours
    message = "There is no such page here." if is_nowhere else error.detail
    return _failure(request, message, error.status_code)


async def broken(request: Request, error: Exception) -> HTMLResponse:
    """Answers a request that met a fault of ours; Starlette raises it on, into the log."""
    return _failure(request, "Something is broken in the page itself; its log says what.", 500)


def _failure(request: Request, message: str, status: int) -> HTMLResponse:
    values = {
        "message": message,
        "again": _again(request),
        "asks_for_key": status == 401,
        "is_missing": status == 404,
    }
    return page(request, "failure", values, status=status)


def _again(request: Request) -> str:
    """Returns the address to try again: the same one, or the page that a form stands on."""
    if request.method == "GET":
        query = f"?{request.url.query}" if request.url.query else ""
        return "/" + request.url.path.lstrip("/") + query
    part = request.url.path.split("/")[1]
    return f"/{part}" if part in ("catalogue", "compare", "groups", "review") else "/"
