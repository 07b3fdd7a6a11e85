"""`twinshelf doctor`: checks a whole deployment, names what is wrong, and says what to do.

It only reads, works while parts are down, and comes to its end in bounded time.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TextIO

from twinshelf.client.doctor.endpoint import Endpoint
from twinshelf.client.doctor.findings import (
    Finding,
    State,
    attempt,
    bad,
    doubtful,
    good,
    print_findings,
    write_findings,
)
from twinshelf.client.doctor.metrics import check_metrics
from twinshelf.client.doctor.network import answers
from twinshelf.client.doctor.service import ServiceTarget, check_service
from twinshelf.client.doctor.triton import TritonTarget, check_triton
from twinshelf.client.errors import TwinshelfError
from twinshelf.client.sync_client import Client

CHECK_TIMEOUT_S: Final = 5.0
DEFAULT_TRITON: Final = "127.0.0.1:8001"
DEFAULT_METRICS: Final = "127.0.0.1:50052"
_TRITON_HTTP_PORT: Final = 8000
_GIB: Final = 1024**3
_SCARCE_BYTES: Final = 5 * _GIB
_FULL_BYTES: Final = _GIB // 2


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorPlan:
    """What to check.

    Attributes:
        service: The matching service.
        metrics: host:port of its metrics; None looks at the usual place, if something is there.
        triton: host:port of Triton's gRPC; None looks at the usual place, if something is there.
        triton_http: host:port of Triton's HTTP; None takes port 8000 of the same host.
        other_triton: host:port of the gRPC of the Triton with a further encoder; None without one.
        other_triton_http: host:port of its HTTP; None takes port 8000 of the same host.
        catalogue: Folder of the catalogue, when it is on this machine; None leaves it out.

    Raises:
        ValueError: If both Tritons are on one host, and nobody says where the HTTP of the other is.
    """

    service: ServiceTarget
    metrics: Endpoint | None = None
    triton: Endpoint | None = None
    triton_http: Endpoint | None = None
    other_triton: Endpoint | None = None
    other_triton_http: Endpoint | None = None
    catalogue: Path | None = None

    def __post_init__(self) -> None:
        first = self.triton or Endpoint.parse(DEFAULT_TRITON)
        other = self.other_triton
        if other and other.host == first.host and self.other_triton_http is None:
            raise ValueError(f"--other-triton-http is needed: {first} is on {first.host}, too")


def run_doctor(client: Client, plan: DoctorPlan, stream: TextIO, *, as_json: bool) -> bool:
    """Checks, prints what is found, and returns whether nothing is broken.

    Args:
        client: Speaks to the service; the caller's to close.
        plan: What to check.
        stream: Where to print.
        as_json: One object a line, instead of lines for people.
    """
    show = write_findings if as_json else print_findings
    return not show(find(client, plan), stream)[State.BAD]


def find(client: Client, plan: DoctorPlan) -> Iterator[Finding]:
    """Yields what is found, check by check; never raises.

    Args:
        client: Speaks to the service.
        plan: What to check.
    """
    yield from check_service(client, plan.service)
    timeout_s = plan.service.timeout_s
    step_s = timeout_s / 4
    if metrics := find_metrics(plan):
        yield from attempt(
            "metrics",
            lambda: check_metrics(metrics, step_s, lambda: client.stats(timeout_s=step_s)),
            timeout_s,
            "Give the --metrics-address of the service by --metrics.",
        )
    if triton := plan.triton or _usual(DEFAULT_TRITON, plan, step_s):
        target = _target(triton, plan.triton_http, step_s)
        yield from _attempt_triton(target, lambda: _reached_digests(client, step_s), timeout_s)
    if plan.other_triton:
        target = _target(plan.other_triton, plan.other_triton_http, step_s)
        for found in _attempt_triton(target, lambda: _reached_digests(client, step_s), timeout_s):
            yield replace(found, name=f"2nd {found.name}")
    folder = plan.catalogue
    if folder is not None:
        remedy = "See whether the disk of the catalogue can be read at all."
        yield from attempt("disk", lambda: [check_disk(folder)], timeout_s, remedy)


def find_metrics(plan: DoctorPlan) -> Endpoint | None:
    """Returns where the metrics of the service are; None when nobody said and none are near.

    Args:
        plan: What is checked.
    """
    return plan.metrics or _usual(DEFAULT_METRICS, plan, plan.service.timeout_s / 4)


def check_disk(folder: Path) -> Finding:
    """Looks how much room the disk of the catalogue has.

    Args:
        folder: Of the catalogue.
    """
    try:
        usage = shutil.disk_usage(folder)
    except OSError as error:
        said = f"{folder} cannot be read: {error.strerror or error}"
        return bad("disk", said, "Give the folder that the service has as --catalogue.")
    told = f"{usage.free / _GIB:.1f} of {usage.total / _GIB:.1f} GiB free at {folder}"
    remedy = "Make room: a write that finds none is refused."
    if usage.free < _FULL_BYTES:
        return bad("disk", told, remedy)
    if usage.free < _SCARCE_BYTES:
        return doubtful("disk", told, remedy)
    return good("disk", told)


def _usual(address: str, plan: DoctorPlan, timeout_s: float) -> Endpoint | None:
    """The usual place of a part, when the service is on this machine and something is there."""
    endpoint = Endpoint.parse(address)
    is_here = plan.service.address.startswith("unix:")
    if not is_here:
        try:
            is_here = Endpoint.parse_all(plan.service.address)[0].is_loopback
        except ValueError:
            return None
    return endpoint if is_here and answers(endpoint, timeout_s) else None


def _target(grpc: Endpoint, http: Endpoint | None, timeout_s: float) -> TritonTarget:
    http = http or Endpoint(host=grpc.host, port=_TRITON_HTTP_PORT)
    return TritonTarget(grpc=grpc, http=http, timeout_s=timeout_s)


def _attempt_triton(
    target: TritonTarget, find_digests: Callable[[], Collection[str]], timeout_s: float
) -> Iterator[Finding]:
    yield from attempt(
        "triton",
        lambda: check_triton(target, find_digests()),
        2 * timeout_s,
        "Restart Triton; read its log when that does not help.",
    )


def _reached_digests(client: Client, timeout_s: float) -> Collection[str]:
    """The encoders that the service reaches; which of them serves, may be switched."""
    try:
        states = client.encoders.list(timeout_s=timeout_s)
    except TwinshelfError:
        return ()
    return [each.encoder.digest for each in states if each.is_reached]
