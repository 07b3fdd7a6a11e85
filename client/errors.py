"""The errors of the client: one class per kind of answer, with facts for programs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

# The reason of a stream that the service ended since nothing was sent, or read, for too long: what
# was answered counts, and it may be opened again at once.
SLOW_MESSAGE = "SLOW_MESSAGE"
# The reason of a message that is larger than what the service reads; the fact `limit_bytes` says
# how large it may be.
MESSAGE_TOO_LARGE = "MESSAGE_TOO_LARGE"
# The reason of a request that the client itself refuses, as no message can hold it.
NO_MESSAGE = "NO_MESSAGE"
# The reason of a call that was not even sent: there is nobody to send it to.
NOT_CONNECTED = "NOT_CONNECTED"
# The reason of a call that the client refused itself, as the service refuses most of its calls.
NOT_SENT = "NOT_SENT"
# The reason of a write that finds the disk of the catalogue full.
CATALOGUE_FULL = "CATALOGUE_FULL"
_STATUS_DETAILS_KEY = "grpc-status-details-bin"
_CODES = {code.value[0]: code for code in grpc.StatusCode}
# How gRPC words what TLS failed with.
_TLS_SIGNS = ("handshake failed", "verification check failed")
_OPENSSL_REASON = re.compile(r"OPENSSL_internal:([A-Z_]+)")
_HUNG_UP = "Socket closed"
# How gRPC says so.
_NOT_SENT = ("connections to all backends failing", "errors resolving")
_TOO_LARGE = re.compile(r"message larger than max \((\d+) vs\. (\d+)\)")
# How gRPC words that this program itself has cancelled a call, or closed its channel.
_ENDED_HERE = ("Locally cancelled by application!", "Channel closed!")
# What gRPC says itself, before it calls the service, when as many calls are open as it may.
_TOO_MANY_CALLS = "Concurrent RPC limit exceeded!"
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldViolation:
    """One field of a request that the service refused.

    Attributes:
        field: Path of the field, such as "offer.image".
        description: What was expected and what came.
    """

    field: str
    description: str


class TwinshelfError(Exception):
    """A call that failed.

    Attributes:
        message: One sentence for a person.
        code: The gRPC status code.
        reason: A constant for programs, such as "ENCODER_MISMATCH"; empty when there is none.
        facts: Names and values that belong to the message.
        field_violations: Fields that were refused.
        request_id: Ties the answer to the service's log; empty when the service gave none.
        retry_after_s: How long to wait before a repeat may help, seconds; None when the service
            named no time.
    """

    def __init__(
        self,
        message: str,
        *,
        code: grpc.StatusCode = grpc.StatusCode.UNKNOWN,
        reason: str = "",
        facts: Mapping[str, str] | None = None,
        field_violations: tuple[FieldViolation, ...] = (),
        request_id: str = "",
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason
        self.facts: dict[str, str] = dict(facts or {})
        self.field_violations = field_violations
        self.request_id = request_id
        self.retry_after_s = retry_after_s


class InvalidRequestError(TwinshelfError):
    """The request can never succeed as it is (INVALID_ARGUMENT, OUT_OF_RANGE)."""


class ProductNotFoundError(TwinshelfError):
    """The catalogue holds no such product (NOT_FOUND)."""


class GroupNotFoundError(TwinshelfError):
    """There never was such a group, or such an event of groups (NOT_FOUND)."""


class EncoderNotFoundError(TwinshelfError):
    """The service reaches no such encoder, or it has embedded nothing (NOT_FOUND)."""


class PreconditionError(TwinshelfError):
    """The encoder, the catalogue or the groups do not fit the request; do not retry."""


class UnauthenticatedError(TwinshelfError):
    """The service asks for an API key, and none that is valid was given (UNAUTHENTICATED)."""


class PermissionDeniedError(TwinshelfError):
    """The API key is valid, but does not allow the method (PERMISSION_DENIED)."""


class ServiceBusyError(TwinshelfError):
    """The service, or the limit of the key, refuses more for now (RESOURCE_EXHAUSTED)."""


class ServiceUnavailableError(TwinshelfError):
    """The service, or the Triton behind it, is away (UNAVAILABLE); retries did not help."""


class DeadlineError(TwinshelfError):
    """The answer did not come in time (DEADLINE_EXCEEDED)."""


class CallCancelledError(TwinshelfError):
    """The call was cancelled here (CANCELLED)."""


class ServiceError(TwinshelfError):
    """Something failed inside the service (INTERNAL, UNKNOWN, DATA_LOSS); its log says what."""


class UnsupportedCallError(TwinshelfError):
    """What answers at this address does not know the method (UNIMPLEMENTED)."""


# What NOT_FOUND means where it is no product.
_MISSING: dict[str, type[TwinshelfError]] = {
    "GROUP_NOT_FOUND": GroupNotFoundError,
    "ENCODER_NOT_FOUND": EncoderNotFoundError,
}
_KINDS: dict[grpc.StatusCode, type[TwinshelfError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequestError,
    grpc.StatusCode.OUT_OF_RANGE: InvalidRequestError,
    grpc.StatusCode.NOT_FOUND: ProductNotFoundError,
    grpc.StatusCode.FAILED_PRECONDITION: PreconditionError,
    grpc.StatusCode.UNAUTHENTICATED: UnauthenticatedError,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDeniedError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ServiceBusyError,
    grpc.StatusCode.UNAVAILABLE: ServiceUnavailableError,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineError,
    grpc.StatusCode.CANCELLED: CallCancelledError,
    grpc.StatusCode.INTERNAL: ServiceError,
    grpc.StatusCode.UNKNOWN: ServiceError,
    grpc.StatusCode.DATA_LOSS: ServiceError,
    grpc.StatusCode.UNIMPLEMENTED: UnsupportedCallError,
}


def is_of_every_row(error: TwinshelfError) -> bool:
    """Tells whether the error of a row is no fault of it: the encoder is away, the disk full."""
    return isinstance(error, ServiceUnavailableError) or error.reason == CATALOGUE_FULL


def error_from_status(status: status_pb2.Status) -> TwinshelfError:
    """Makes an error of a status with its details.

    Args:
        status: Not OK.
    """
    code = _CODES.get(status.code, grpc.StatusCode.UNKNOWN)
    reason, request_id = "", ""
    facts: dict[str, str] = {}
    violations: list[FieldViolation] = []
    retry_after_s: float | None = None
    for detail in status.details:
        info, request, bad, retry = (
            error_details_pb2.ErrorInfo(),
            error_details_pb2.RequestInfo(),
            error_details_pb2.BadRequest(),
            error_details_pb2.RetryInfo(),
        )
        if detail.Unpack(info):
            reason, facts = info.reason, dict(info.metadata)
        elif detail.Unpack(request):
            request_id = request.request_id
        elif detail.Unpack(retry):
            retry_after_s = retry.retry_delay.ToTimedelta().total_seconds()
        elif detail.Unpack(bad):
            violations += [
                FieldViolation(field=violation.field, description=violation.description)
                for violation in bad.field_violations
            ]
    kind = _MISSING.get(reason) or _KINDS.get(code, TwinshelfError)
    return kind(
        status.message or f"the service answered {code.name} and gave no reason",
        code=code,
        reason=reason,
        facts=facts,
        field_violations=tuple(violations),
        request_id=request_id,
        retry_after_s=retry_after_s,
    )


def error_from_call(error: grpc.RpcError, address: str) -> TwinshelfError:
    """Makes an error of what gRPC raised.

    Args:
        error: Raised by a call of grpc or grpc.aio.
        address: Where the call went, for the message.
    """
    code: grpc.StatusCode = error.code()
    if status := _status_of(error):
        return error_from_status(status)
    said = error.details() or ""
    if code is grpc.StatusCode.UNAVAILABLE:
        return unreachable_error(address, said)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and (sizes := _TOO_LARGE.search(said)):
        return too_large_error(int(sizes[1]), int(sizes[2]))
    if said == _TOO_MANY_CALLS:
        # Nothing was done, and there may be room at any moment.
        return ServiceBusyError(
            f"{address} has as many open calls as it takes",
            code=code,
            reason="TOO_MANY_CALLS",
            retry_after_s=0.0,
        )
    if code is grpc.StatusCode.CANCELLED and said not in _ENDED_HERE:
        # So gRPC ends what reaches a server in the moment in which it stops. Another may answer.
        return ServiceUnavailableError(
            f"{address} has cut the call off, as a server does that stops; repeat it",
            code=grpc.StatusCode.UNAVAILABLE,
        )
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineError(f"{address} did not answer in time", code=code)
    if code is grpc.StatusCode.UNIMPLEMENTED:
        said = f"what answers at {address} is not a Twinshelf matching service ({said})"
    return _KINDS.get(code, TwinshelfError)(said or f"the call failed with {code.name}", code=code)


def too_large_error(size_bytes: int, limit_bytes: int, photo_bytes: int = 0) -> InvalidRequestError:
    """Makes the error of a message that the service does not even read.

    Args:
        size_bytes: Of the message.
        limit_bytes: What it may have.
        photo_bytes: Size of its main photo, which is named when it alone is too much.
    """
    what = f"the message of {size_bytes / _MIB:.1f} MiB"
    violations: tuple[FieldViolation, ...] = ()
    if size_bytes - photo_bytes <= limit_bytes:
        what = f"the photo of {photo_bytes / _MIB:.1f} MiB"
        violations = (FieldViolation(field="image", description="too large"),)
    return InvalidRequestError(
        f"{what} is too large: the service reads messages of at most {limit_bytes / _MIB:.1f} MiB",
        code=grpc.StatusCode.INVALID_ARGUMENT,
        reason=MESSAGE_TOO_LARGE,
        facts={"limit_bytes": str(limit_bytes)},
        field_violations=violations,
    )


def unreachable_error(address: str, said: str) -> ServiceUnavailableError:
    """Makes the error of a service that cannot be reached.

    Args:
        address: Where it was expected.
        said: What gRPC said.
    """
    code = grpc.StatusCode.UNAVAILABLE
    reason = NOT_CONNECTED if said.startswith(_NOT_SENT) else ""
    # gRPC wraps the cause in a sentence about each address it tried; the last part is the cause.
    cause = said.rsplit(": ", 1)[-1].removesuffix("]") or "no reason given"
    if any(sign in said for sign in _TLS_SIGNS):
        if found := _OPENSSL_REASON.search(said):
            cause = found[1].lower().replace("_", " ")
        return ServiceUnavailableError(
            f"no TLS connection to {address} ({cause}): check that it speaks TLS, and that its "
            "certificate comes from an authority that is trusted here",
            code=code,
            reason=reason,
        )
    advice = "start one with `make up`, or give the address of yours"
    if cause == _HUNG_UP:
        advice += "; one that asks for TLS, or for a certificate, hangs up like this"
    return ServiceUnavailableError(
        f"no matching service can be reached at {address} ({cause}): {advice}",
        code=code,
        reason=reason,
    )


def _status_of(error: grpc.RpcError) -> status_pb2.Status | None:
    """Returns the status in the trailing metadata; None when the answer is gRPC's own."""
    metadata: Any = error.trailing_metadata() or ()
    for key, value in metadata:
        if key == _STATUS_DETAILS_KEY:
            try:
                return status_pb2.Status.FromString(value)
            except DecodeError:
                return None
    return None
