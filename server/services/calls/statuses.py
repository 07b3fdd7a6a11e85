"""From an error to what the caller sees: the one table of codes, and the details beside it."""

from __future__ import annotations

import logging
import math
from typing import Final

from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from twinshelf.server.errors import (
    DOMAIN,
    CatalogueDamagedError,
    CatalogueFullError,
    CatalogueStaleError,
    CatalogueUnavailableError,
    ChangesForgottenError,
    DeadlineTooShortError,
    EncoderChangedError,
    EncoderConflictError,
    EncoderContractError,
    EncoderFailedError,
    EncoderMismatchError,
    EncoderNotFoundError,
    EncoderUnavailableError,
    GroupConflictError,
    GroupNotFoundError,
    InvalidRequestError,
    ModelNotFoundError,
    PairScorerMissingError,
    PermissionDeniedError,
    ProductChangedError,
    ProductNotFoundError,
    RateLimitedError,
    ServerBusyError,
    ServerStoppingError,
    SlowMessageError,
    ThumbnailNotFoundError,
    TooManyBytesError,
    TwinshelfError,
    UnauthenticatedError,
)

logger = logging.getLogger(__name__)

CODES: dict[type[TwinshelfError], int] = {
    InvalidRequestError: code_pb2.INVALID_ARGUMENT,
    ProductNotFoundError: code_pb2.NOT_FOUND,
    ModelNotFoundError: code_pb2.NOT_FOUND,
    ThumbnailNotFoundError: code_pb2.NOT_FOUND,
    GroupNotFoundError: code_pb2.NOT_FOUND,
    GroupConflictError: code_pb2.FAILED_PRECONDITION,
    ProductChangedError: code_pb2.ABORTED,
    CatalogueDamagedError: code_pb2.DATA_LOSS,
    CatalogueFullError: code_pb2.RESOURCE_EXHAUSTED,
    CatalogueUnavailableError: code_pb2.UNAVAILABLE,
    ChangesForgottenError: code_pb2.OUT_OF_RANGE,
    EncoderMismatchError: code_pb2.FAILED_PRECONDITION,
    CatalogueStaleError: code_pb2.FAILED_PRECONDITION,
    EncoderContractError: code_pb2.FAILED_PRECONDITION,
    EncoderFailedError: code_pb2.INTERNAL,
    PairScorerMissingError: code_pb2.FAILED_PRECONDITION,
    EncoderUnavailableError: code_pb2.UNAVAILABLE,
    EncoderNotFoundError: code_pb2.NOT_FOUND,
    EncoderConflictError: code_pb2.FAILED_PRECONDITION,
    EncoderChangedError: code_pb2.UNAVAILABLE,
    ServerStoppingError: code_pb2.UNAVAILABLE,
    ServerBusyError: code_pb2.RESOURCE_EXHAUSTED,
    DeadlineTooShortError: code_pb2.RESOURCE_EXHAUSTED,
    TooManyBytesError: code_pb2.RESOURCE_EXHAUSTED,
    SlowMessageError: code_pb2.DEADLINE_EXCEEDED,
    UnauthenticatedError: code_pb2.UNAUTHENTICATED,
    PermissionDeniedError: code_pb2.PERMISSION_DENIED,
    RateLimitedError: code_pb2.RESOURCE_EXHAUSTED,
}
INTERNAL_SENTENCE = (
    "Something failed inside the server; its log has the reason under this request id"
)
STATUS_DETAILS_KEY: Final = "grpc-status-details-bin"
# A status travels in trailing metadata, which clients refuse above 8 KiB: the message by itself,
# with three bytes for each that is no printable ASCII, and again in the details, in base64.
LONGEST_MESSAGE_BYTES = 1024
LONGEST_FACT_BYTES = 256
_ELLIPSIS: Final = "…"
# A key may have a call in a thousand years; nobody waits longer than a day.
_LONGEST_RETRY_S: Final = 86_400.0


def status_of(error: BaseException, request_id: str) -> status_pb2.Status:
    """Makes the status that a caller may see of an error.

    An error of ours keeps its sentence. Any other is logged with its traceback and answered with a
    fixed sentence, so that nothing of the inside leaks.

    Args:
        error: What was raised.
        request_id: Ties the answer to the log.
    """
    request_info = error_details_pb2.RequestInfo(request_id=request_id)
    if not isinstance(error, TwinshelfError):
        logger.error("request %s failed", request_id, exc_info=error)
        return _status(
            code_pb2.INTERNAL,
            f"{INTERNAL_SENTENCE}: {request_id}",
            error_details_pb2.ErrorInfo(reason="INTERNAL", domain=DOMAIN),
            request_info,
        )
    facts = {name: _cut(value, LONGEST_FACT_BYTES) for name, value in error.facts.items()}
    details: list[Message] = [
        error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=facts),
        request_info,
    ]
    if error.retry_after_s is not None:
        retry = error_details_pb2.RetryInfo()
        retry_s = min(error.retry_after_s, _LONGEST_RETRY_S)
        retry.retry_delay.FromMilliseconds(math.ceil(1000 * retry_s))
        details.append(retry)
    message = _cut(error.message, LONGEST_MESSAGE_BYTES)
    if isinstance(error, InvalidRequestError):
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=_cut(error.field, LONGEST_FACT_BYTES), description=message
        )
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    return _status(CODES[type(error)], message, *details)


def _status(code: int, message: str, *details: Message) -> status_pb2.Status:
    status = status_pb2.Status(code=code, message=message)
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def _cut(text: str, longest_bytes: int) -> str:
    encoded = text.encode()
    if len(encoded) <= longest_bytes:
        return text
    return encoded[: longest_bytes - len(_ELLIPSIS.encode())].decode(errors="ignore") + _ELLIPSIS
