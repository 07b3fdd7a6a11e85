"""How pages are made: the templates, and what each of them may use."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from twinshelf.client.files.findings import count_of

FOLDER: Final = Path(__file__).parent


def _percent(value: float) -> str:
    return f"{value:.1%}"


def _price(value: float | None) -> str:
    return "" if value is None else f"{value:,.2f}"


def _cosine(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.1f} ms" if math.isfinite(seconds) else "beyond measure"


# Everything that is put into a page is escaped; no template switches that off.
_TEMPLATES: Final = Environment(
    loader=FileSystemLoader(FOLDER / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters.update(
    percent=_percent, price=_price, cosine=_cosine, milliseconds=_milliseconds, count_of=count_of
)


def page(
    request: Request,
    template: str,
    values: Mapping[str, Any] | None = None,
    *,
    status: int = 200,
) -> HTMLResponse:
    """Makes a page.

    Args:
        request: Who asks.
        template: Name of the file, without its ending.
        values: What the template uses.
        status: Of the answer.
    """
    text = _TEMPLATES.get_template(f"{template}.html").render(
        token=request.state.token, path=request.url.path, **(values or {})
    )
    return HTMLResponse(text, status_code=status)
