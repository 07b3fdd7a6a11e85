"""The page of health: what serves, how much it holds, and what `twinshelf doctor` finds."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse

from twinshelf.client.doctor.deployment import CHECK_TIMEOUT_S, DoctorPlan, find, find_metrics
from twinshelf.client.doctor.findings import Finding, State
from twinshelf.client.doctor.metrics import read_samples
from twinshelf.client.doctor.network import ask
from twinshelf.client.doctor.service import ServiceTarget
from twinshelf.client.errors import TwinshelfError, UnauthenticatedError
from twinshelf.client.web.guard import visitor_of
from twinshelf.client.web.live_figures import LiveFigures, read_figures
from twinshelf.client.web.pages import page
from twinshelf.client.web.state import client_of, state_of


async def show_health(request: Request) -> HTMLResponse:
    """Answers GET /health: encoder, counts, the outcome of each check, and figures."""
    stats, asks_for_key = None, False
    try:
        stats = await client_of(request).stats()
    except TwinshelfError as error:  # the checks say what is wrong
        asks_for_key = isinstance(error, UnauthenticatedError)
    plan = _plan(request)
    findings = await run_in_threadpool(_findings, request, plan)
    has_metrics = any(each.name == "metrics" and each.state is State.GOOD for each in findings)
    values = {
        "stats": stats,
        "asks_for_key": asks_for_key,
        "figures": await run_in_threadpool(_figures, plan) if has_metrics else None,
        "findings": findings,
        "bad_count": sum(each.state is State.BAD for each in findings),
        "doubtful_count": sum(each.state is State.DOUBTFUL for each in findings),
    }
    return page(request, "health", values)


def _plan(request: Request) -> DoctorPlan:
    state = state_of(request)
    config = state.config
    target = ServiceTarget(
        address=config.address,
        tls=config.tls,
        api_key=state.service.key_of(visitor_of(request)),
        timeout_s=min(config.timeout_s, CHECK_TIMEOUT_S),
    )
    return DoctorPlan(service=target, metrics=config.metrics)


def _findings(request: Request, plan: DoctorPlan) -> list[Finding]:
    with state_of(request).service.waiting_client(visitor_of(request)) as client:
        return list(find(client, plan))


def _figures(plan: DoctorPlan) -> LiveFigures | None:
    endpoint = find_metrics(plan)
    if endpoint is None:
        return None
    try:
        answer = ask(f"http://{endpoint}/metrics", plan.service.timeout_s)
    except OSError:
        return None  # the checks say what is wrong
    return read_figures(read_samples(answer.text))
