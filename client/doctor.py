"""`twinshelf doctor`: checks a whole deployment, names what is wrong, and says what to do.

It only reads, works while parts are down, and comes to its end in bounded time.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

from client.credentials import ClientTls
from client.doctor_findings import (
    Finding,
    State,
    attempt,
    bad,
    doubtful,
    good,
    print_findings,
    write_findings,
)
from client.doctor_metrics import check_metrics
from client.doctor_network import Endpoint, answers
from client.doctor_service import ServiceTarget, check_service
from client.doctor_triton import TritonTarget, check_triton
from client.errors import TwinshelfError
from client.sync_client import TwinshelfClient

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
        catalogue: Folder of the catalogue, when it is on this machine; None leaves it out.
    """

    service: ServiceTarget
    metrics: Endpoint | None = None
    triton: Endpoint | None = None
    triton_http: Endpoint | None = None
    catalogue: Path | None = None


def add_doctor_command(
    commands: argparse._SubParsersAction, shared: argparse.ArgumentParser
) -> None:
    """Adds the command to the command line.

    Args:
        commands: Where to.
        shared: Options that all commands have.
    """
    doctor = commands.add_parser(
        "doctor",
        parents=[shared],
        help="check the service, its Triton and its metrics; say what to do",
        description="Checks a whole deployment: one line for each check, and what to do where "
        "one fails. It only reads. Exit status 1 when something is broken.",
    )
    doctor.add_argument(
        "--metrics",
        type=_endpoint,
        metavar="HOST:PORT",
        help=f"metrics of the service (default: {DEFAULT_METRICS}, if something answers there)",
    )
    doctor.add_argument(
        "--triton",
        type=_endpoint,
        metavar="HOST:PORT",
        help=f"gRPC of Triton (default: {DEFAULT_TRITON}, if something answers there)",
    )
    doctor.add_argument(
        "--triton-http",
        type=_endpoint,
        metavar="HOST:PORT",
        help=f"HTTP of Triton (default: port {_TRITON_HTTP_PORT} of the same host)",
    )
    doctor.add_argument(
        "--catalogue",
        type=Path,
        metavar="FOLDER",
        help="folder of the catalogue, to see how much room its disk has",
    )


def plan_from(options: argparse.Namespace, tls: ClientTls | None) -> DoctorPlan:
    """Makes a plan of the command line.

    Args:
        options: As the parser read them.
        tls: How to speak TLS; None speaks in clear.
    """
    return DoctorPlan(
        service=ServiceTarget(
            address=options.address,
            tls=tls,
            has_key=bool(options.api_key or options.api_key_file),
            timeout_s=min(options.timeout_s, CHECK_TIMEOUT_S),
        ),
        metrics=options.metrics,
        triton=options.triton,
        triton_http=options.triton_http,
        catalogue=options.catalogue,
    )


def run_doctor(client: TwinshelfClient, plan: DoctorPlan, stream: TextIO, *, as_json: bool) -> int:
    """Checks, prints what is found, and returns the exit status: 1 when something is broken.

    Args:
        client: Speaks to the service; the caller's to close.
        plan: What to check.
        stream: Where to print.
        as_json: One object a line, instead of lines for people.
    """
    bad_count = 0

    def counted() -> Iterator[Finding]:
        """Counts while it prints, so that each line comes as soon as it is known."""
        nonlocal bad_count
        for finding in find(client, plan):
            bad_count += finding.state is State.BAD
            yield finding

    (write_findings if as_json else print_findings)(counted(), stream)
    return 1 if bad_count else 0


def find(client: TwinshelfClient, plan: DoctorPlan) -> Iterator[Finding]:
    """Yields what is found, check by check; never raises.

    Args:
        client: Speaks to the service.
        plan: What to check.
    """
    yield from check_service(client, plan.service)
    timeout_s = plan.service.timeout_s
    step_s = timeout_s / 4
    if metrics := plan.metrics or _usual(DEFAULT_METRICS, plan, step_s):
        yield from attempt(
            "metrics",
            lambda: check_metrics(metrics, step_s),
            timeout_s,
            "Give the --metrics-address of the service by --metrics.",
        )
    if triton := plan.triton or _usual(DEFAULT_TRITON, plan, step_s):
        http = plan.triton_http or Endpoint(host=triton.host, port=_TRITON_HTTP_PORT)
        target = TritonTarget(grpc=triton, http=http, timeout_s=step_s)
        yield from attempt(
            "triton",
            lambda: check_triton(target, _service_digest(client, step_s)),
            2 * timeout_s,
            "Restart Triton; read its log when that does not help.",
        )
    folder = plan.catalogue
    if folder is not None:
        remedy = "See whether the disk of the catalogue can be read at all."
        yield from attempt("disk", lambda: [check_disk(folder)], timeout_s, remedy)


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
            is_here = Endpoint.parse(plan.service.address).is_loopback
        except ValueError:
            return None
    return endpoint if is_here and answers(endpoint, timeout_s) else None


def _service_digest(client: TwinshelfClient, timeout_s: float) -> str:
    try:
        return client.stats(timeout_s=timeout_s).encoder.digest
    except TwinshelfError:
        return ""


def _endpoint(text: str) -> Endpoint:
    try:
        return Endpoint.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
