"""The page of health: what serves, how much it holds, and what `twinshelf doctor` finds."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse

from twinshelf.client.doctor.deployment import CHECK_TIMEOUT_S, DoctorPlan, find
from twinshelf.client.doctor.findings import Finding, State
from twinshelf.client.doctor.service import ServiceTarget
from twinshelf.client.errors import TwinshelfError
from twinshelf.client.web.guard import visitor_of
from twinshelf.client.web.pages import page
from twinshelf.client.web.state import client_of, state_of


async def show_health(request: Request) -> HTMLResponse:
    """Answers GET /health: encoder, counts, and the outcome of each check."""
    try:
        stats = await client_of(request).stats()
    except TwinshelfError:
        stats = None  # the checks say what is wrong
    findings = await run_in_threadpool(_findings, request)
    values = {
        "stats": stats,
        "findings": findings,
        "bad_count": sum(each.state is State.BAD for each in findings),
        "doubtful_count": sum(each.state is State.DOUBTFUL for each in findings),
    }
    return page(request, "health", values)


def _findings(request: Request) -> list[Finding]:
    state, visitor = state_of(request), visitor_of(request)
    config = state.config
    target = ServiceTarget(
        address=config.address,
        tls=config.tls,
        has_key=state.service.key_of(visitor) is not None,
        timeout_s=min(config.timeout_s, CHECK_TIMEOUT_S),
    )
    with state.service.waiting_client(visitor) as client:
        return list(find(client, DoctorPlan(service=target)))
