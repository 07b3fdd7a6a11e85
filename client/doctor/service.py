"""The checks of the matching service: reached, healthy, open to this caller, and matching."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from twinshelf.client.credentials import ClientTls
from twinshelf.client.doctor.endpoint import Endpoint
from twinshelf.client.doctor.findings import Finding, State, attempt, bad, bounded, doubtful, good
from twinshelf.client.doctor.network import Language, certificate_trouble, language
from twinshelf.client.errors import (
    DeadlineError,
    PermissionDeniedError,
    PreconditionError,
    ServiceBusyError,
    ServiceUnavailableError,
    TwinshelfError,
    UnauthenticatedError,
    UnsupportedCallError,
    error_from_call,
)
from twinshelf.client.files.findings import count_of
from twinshelf.client.records import CatalogStats, MatchOptions, Offer
from twinshelf.client.sync_calls import open_channel
from twinshelf.client.sync_client import Client
from twinshelf.v1 import catalog_service_pb2, catalog_service_pb2_grpc, matching_service_pb2

# A grey PNG of one pixel: the smallest photo there is.
TINY_PHOTO: Final = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNoAAAAggCB2kUIOwAAAABJRU5ErkJggg=="
)
TINY_TITLE: Final = "twinshelf doctor"
_SERVICES: Final = {
    "server": "",
    "MatchingService": matching_service_pb2.DESCRIPTOR.services_by_name[
        "MatchingService"
    ].full_name,
    "CatalogService": catalog_service_pb2.DESCRIPTOR.services_by_name["CatalogService"].full_name,
}
_SLOW_S: Final = 1.0
_LOG: Final = "Read the log of the service, which has the reason."
_START: Final = "Start it with `make up`, or give the address of yours by --address."
_AWAY: Final = (
    "Read the log of the service; when it misses Triton, start that with `make triton`, "
    "and look at its log, too."
)
_REMEDIES: Final[dict[type[TwinshelfError], str]] = {
    UnauthenticatedError: "Give a valid key by --api-key-file or TWINSHELF_API_KEY; an operator "
    "makes one with `twinshelf keys`.",
    PermissionDeniedError: "Use a key with scope read or more; `twinshelf keys` makes one.",
    UnsupportedCallError: "Give the address of a matching service by --address: this may be the "
    "port of Triton, or a service of another version.",
    ServiceUnavailableError: _AWAY,
    DeadlineError: "Look at the load of the service and its Triton; when nothing moves, "
    "restart Triton.",
    ServiceBusyError: "Wait; when it stays so, add machines, or slow the callers down.",
    PreconditionError: "Index the catalogue again: `twinshelf index FILE`.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceTarget:
    """The service to check, and how to speak to it.

    Attributes:
        address: host:port.
        tls: How to speak TLS; None speaks in clear.
        api_key: What the client shows; None shows none.
        timeout_s: For each check, seconds.
    """

    address: str
    tls: ClientTls | None = None
    api_key: str | None = field(default=None, repr=False)
    timeout_s: float = 5.0


def check_service(client: Client, target: ServiceTarget) -> Iterator[Finding]:
    """Yields what there is to say of the service, as far as the checks come.

    Args:
        client: Speaks to it, with its key.
        target: Where it is.
    """
    reached = _attempt(target, "address", lambda: check_address(target))
    yield from reached
    if any(finding.state is State.BAD for finding in reached):
        yield doubtful("service", "not checked further", "First mend what is said above.")
        return
    yield from _attempt(target, "health", lambda: _check_health(target))
    try:
        stats = bounded(lambda: client.stats(timeout_s=target.timeout_s), target.timeout_s + 1)
    except TwinshelfError as error:
        yield _failure("catalogue", error)
        return
    except Exception as error:  # an answer that makes no sense
        yield bad("catalogue", f"could not be counted: {error}", _LOG)
        return
    yield from _attempt(target, "key", lambda: [_check_scope(target)])
    yield from _catalogue_findings(stats)
    for name, offer in (("photo", Offer(image=TINY_PHOTO)), ("text", Offer(title=TINY_TITLE))):
        yield from _attempt(target, name, _match_check(client, target, stats, name, offer))


def check_address(target: ServiceTarget) -> list[Finding]:
    """Looks whether the address can be reached, and whether both sides mean TLS, or neither.

    Args:
        target: Where the service is.
    """
    if target.address.startswith("unix:"):
        return [good("address", f"{target.address} is a socket of this machine")]
    try:
        return [_check_endpoint(each, target) for each in Endpoint.parse_all(target.address)]
    except ValueError as error:
        return [bad("address", str(error), "Give host:port by --address.")]


def _check_endpoint(endpoint: Endpoint, target: ServiceTarget) -> Finding:
    try:
        return _language_finding(endpoint, language(endpoint, target.timeout_s / 4), target)
    except OSError as error:
        said = f"{endpoint} cannot be reached: {error.strerror or error}"
        return bad("address", said, _remedy_of_silence(endpoint))


def _remedy_of_silence(endpoint: Endpoint) -> str:
    if endpoint.is_loopback:
        return _START
    return (
        f"See that the service runs there, that it listens on more than loopback, and that no "
        f"firewall stands before it; {_START[0].lower()}{_START[1:]}"
    )


def _language_finding(endpoint: Endpoint, spoken: Language, target: ServiceTarget) -> Finding:
    if spoken is Language.SILENCE:
        return bad(
            "address",
            f"{endpoint} takes connections and says nothing: it hangs",
            "Restart what runs there; when it is the service, read its log first.",
        )
    if spoken in (Language.HTTP1, Language.UNKNOWN):
        return bad(
            "address",
            f"{endpoint} answers, but speaks {spoken.value}",
            "Give the port of the matching service by --address: another program has this one "
            "(Triton's HTTP, or metrics?).",
        )
    if spoken is Language.TLS and target.tls is None:
        return bad(
            "tls",
            f"{endpoint} speaks TLS, and it was spoken to in clear",
            "Add --tls, and --ca-file FILE when its certificate comes from an authority of yours.",
        )
    if spoken is Language.HTTP2 and target.tls is not None:
        return bad(
            "tls",
            f"{endpoint} speaks in clear, and it was spoken to by TLS",
            "Leave out --tls and the files of TLS, or serve with --tls-cert and --tls-key.",
        )
    if target.tls is None:
        return good("address", f"{endpoint} answers, in clear")
    if trouble := certificate_trouble(endpoint, target.tls, target.timeout_s / 4):
        return bad(
            "tls",
            f"{endpoint} speaks TLS, but {trouble}",
            "Give the authority of the service by --ca-file, call it by a name that its "
            "certificate holds, show yours by --cert-file and --key-file; renew what has expired.",
        )
    return good("address", f"{endpoint} answers by TLS, with good certificates")


def _check_health(target: ServiceTarget) -> list[Finding]:
    with open_channel(target.address, target.tls) as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)  # its type hints know no methods
        states = {}
        for name, service in _SERVICES.items():
            request = health_pb2.HealthCheckRequest(service=service)
            try:
                answer = health.Check(request, timeout=target.timeout_s / 4)
                states[name] = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
            except grpc.RpcError as error:
                states[name] = error.code().name
    told = "; ".join(
        f"{', '.join(name for name in states if states[name] == state)}: {state}"
        for state in dict.fromkeys(states.values())
    )
    if set(states.values()) == {"SERVING"}:
        return [good("health", told)]
    if "UNIMPLEMENTED" in states.values():
        return [bad("health", f"no health service here: {told}", _REMEDIES[UnsupportedCallError])]
    return [bad("health", told, _AWAY)]


def _check_scope(target: ServiceTarget) -> Finding:
    """Looks what the caller may do; that it may read is known by now."""
    denied = _denial_of_writing(target)
    if denied is grpc.StatusCode.UNAUTHENTICATED:
        return doubtful("key", "reading needs no key, writing does", "Give one to write.")
    allowed = "read, not write" if denied else "read and write"
    if target.api_key is not None:
        return good("key", f"accepted; it may {allowed}")
    is_socket = target.address.startswith("unix:")
    if is_socket or all(each.is_loopback for each in Endpoint.parse_all(target.address)):
        return good("key", f"none is asked for; whoever reaches the port may {allowed}")
    return doubtful(
        "key",
        f"none is asked for; whoever reaches {target.address} may {allowed}",
        "Make keys with `twinshelf keys` and serve with --keys FILE.",
    )


def _denial_of_writing(target: ServiceTarget) -> grpc.StatusCode | None:
    """Asks to store no product: that is let through or denied, and writes nothing."""
    metadata = [("authorization", f"Bearer {target.api_key}")] if target.api_key else []
    with open_channel(target.address, target.tls) as channel:
        stub = catalog_service_pb2_grpc.CatalogServiceStub(channel)
        call = stub.UpsertProducts(iter(()), timeout=target.timeout_s / 2, metadata=metadata)
        try:
            for _ in call:
                pass
        except grpc.RpcError as error:
            code: grpc.StatusCode = error.code()
            if code in (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED):
                return code
            raise error_from_call(error, target.address) from None
    return None


def _catalogue_findings(stats: CatalogStats) -> Iterator[Finding]:
    if stats.encoder.digest:
        yield good("encoder", f"version {stats.encoder.version}, {short(stats.encoder.digest)}")
    else:
        yield bad("encoder", "the service has none", _AWAY)
    if stats.product_count:
        vectors = count_of(stats.indexed_vector_count, "vector")
        yield good("catalogue", f"{count_of(stats.product_count, 'product')}, {vectors} indexed")
    else:
        yield doubtful("catalogue", "it is empty", "Store products: `twinshelf index FILE`.")
    if stats.stale_product_count:
        yield bad(
            "stale",
            f"{stats.stale_product_count:,} of {count_of(stats.product_count, 'product')} were "
            "embedded by another encoder, so matching is refused",
            _REMEDIES[PreconditionError],
        )
    elif stats.product_count:
        yield good("stale", "no product was embedded by another encoder")
    if stats.damaged_product_count:
        yield bad(
            "damaged",
            f"{count_of(stats.damaged_product_count, 'product')} set aside, as what is stored of "
            "them is damaged",
            "Read the log of the service, which names them, and write them again.",
        )


def _match_check(
    client: Client, target: ServiceTarget, stats: CatalogStats, name: str, offer: Offer
) -> Callable[[], list[Finding]]:
    def check() -> list[Finding]:
        """Matches once and looks at the clock."""
        started_s = time.monotonic()
        try:
            result = client.match(offer, MatchOptions(match_count=1), timeout_s=target.timeout_s)
        except TwinshelfError as error:
            return [_failure(name, error)]
        latency_s = time.monotonic() - started_s
        told = f"matched in {latency_s * 1000:.0f} ms"
        if not stats.product_count:
            told += ", in an empty catalogue"
        elif not result.matches:
            told += f"; no product has a {name}"
        if latency_s > _SLOW_S:
            return [doubtful(name, told, "Look at the load of the service and of Triton.")]
        return [good(name, told)]

    return check


def short(digest: str) -> str:
    """Returns the beginning of a digest, enough to tell two apart."""
    return f"{digest[:19]}…"


def _attempt(target: ServiceTarget, name: str, check: Callable[[], list[Finding]]) -> list[Finding]:
    # A little more than the time-outs inside, which say more.
    return attempt(name, check, target.timeout_s + 1, _LOG)


def _failure(name: str, error: TwinshelfError) -> Finding:
    request = f", request {error.request_id}" if error.request_id else ""
    remedy = _REMEDIES.get(type(error), _LOG)
    return bad(name, f"{error.message} [{error.code.name}{request}]", remedy)
