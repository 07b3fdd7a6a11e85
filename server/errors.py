"""The errors that callers are meant to see; `services/statuses.py` maps each to a gRPC code."""

from __future__ import annotations

from collections.abc import Mapping

DOMAIN = "twinshelf.v1"


class TwinshelfError(Exception):
    """An error with a sentence for the caller.

    Attributes:
        message: One sentence: what was expected and what came.
        reason: A constant in UPPER_SNAKE_CASE for programs to compare with.
        facts: Names and values that belong to the sentence, for programs.
        retry_after_s: How long to wait before a repeat may help; None when nothing is known.
    """

    reason = "UNKNOWN"

    def __init__(
        self,
        message: str,
        *,
        facts: Mapping[str, str] | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        """Takes the sentence and what belongs to it."""
        super().__init__(message)
        self.message = message
        self.facts: dict[str, str] = dict(facts or {})
        self.retry_after_s = retry_after_s


def reason_of(error: BaseException) -> str:
    """Returns the constant that programs and logs know an error by."""
    return error.reason if isinstance(error, TwinshelfError) else "INTERNAL"


class InvalidRequestError(TwinshelfError):
    """The request can never succeed as it is.

    Attributes:
        field: Path of the field at fault, such as "offer.image".
    """

    reason = "INVALID_REQUEST"

    def __init__(self, message: str, *, field: str, facts: Mapping[str, str] | None = None) -> None:
        """Takes the sentence and the field at fault."""
        super().__init__(message, facts=facts)
        self.field = field


class ProductNotFoundError(TwinshelfError):
    """The catalogue holds no product of the id asked for."""

    reason = "PRODUCT_NOT_FOUND"


class ModelNotFoundError(TwinshelfError):
    """A KServe client asked for another model, or for a version that does not serve."""

    reason = "MODEL_NOT_FOUND"


class ThumbnailNotFoundError(TwinshelfError):
    """The catalogue keeps no thumbnail of the product asked for."""

    reason = "THUMBNAIL_NOT_FOUND"


class GroupNotFoundError(TwinshelfError):
    """There never was a group, or an event of groups, of the id asked for."""

    reason = "GROUP_NOT_FOUND"


class GroupConflictError(TwinshelfError):
    """The groups are not as the change of them needs; look at them again."""

    reason = "GROUP_CONFLICT"


class ProductChangedError(TwinshelfError):
    """The product was changed by others while an update of it was made; it may be repeated."""

    reason = "PRODUCT_CHANGED"


class CatalogueDamagedError(TwinshelfError):
    """The catalogue's file is damaged where the request looked; an operator must act."""

    reason = "CATALOGUE_DAMAGED"


class CatalogueFullError(TwinshelfError):
    """The disk of the catalogue is full; reads and deletes go on."""

    reason = "CATALOGUE_FULL"


class CatalogueUnavailableError(TwinshelfError):
    """The engine that keeps the catalogue does not answer; the request may be repeated."""

    reason = "CATALOGUE_UNAVAILABLE"


class ChangesForgottenError(TwinshelfError):
    """The catalogue does not hold every change since the one named; begin with an empty copy."""

    reason = "CHANGES_FORGOTTEN"


class EncoderMismatchError(TwinshelfError):
    """The caller, the configuration or the catalogue relies on another encoder; do not retry."""

    reason = "ENCODER_MISMATCH"


class CatalogueStaleError(EncoderMismatchError):
    """Products of the catalogue were embedded by another encoder than the serving one."""

    reason = "CATALOGUE_STALE"


class EncoderNotFoundError(TwinshelfError):
    """No encoder of the digest or version asked for is served or has embedded anything."""

    reason = "ENCODER_NOT_FOUND"


class EncoderConflictError(TwinshelfError):
    """The encoders of the catalogue are not as the change of them needs."""

    reason = "ENCODER_CONFLICT"


class EncoderContractError(TwinshelfError):
    """The encoder that was found cannot be used; an operator must act."""

    reason = "ENCODER_CONTRACT"


class PairScorerMissingError(TwinshelfError):
    """No pair scorer was published beside the encoder; an operator must act."""

    reason = "PAIR_SCORER_MISSING"


class EncoderUnavailableError(TwinshelfError):
    """The encoder is away for now; the request may be repeated."""

    reason = "ENCODER_UNAVAILABLE"


class EncoderChangedError(EncoderUnavailableError):
    """Another encoder came into service while this one was asked; the request may be repeated."""

    reason = "ENCODER_CHANGED"


class EncoderFailedError(TwinshelfError):
    """The encoder failed on an input that it should have taken; the log has the reason."""

    reason = "ENCODER_FAILED"


class ServerBusyError(TwinshelfError):
    """Too many requests wait already; the request may be repeated later."""

    reason = "SERVER_BUSY"


class DeadlineTooShortError(ServerBusyError):
    """The answer would come after the caller's deadline; nothing was begun."""

    reason = "DEADLINE_TOO_SHORT"


class TooManyBytesError(ServerBusyError):
    """Messages of other requests fill the memory that is set aside for them."""

    reason = "TOO_MANY_BYTES"


class SlowMessageError(TwinshelfError):
    """The message of a request, or the reader of its answer, took too long."""

    reason = "SLOW_MESSAGE"


class ServerStoppingError(TwinshelfError):
    """The server is stopping; the request may be repeated on another one."""

    reason = "SERVER_STOPPING"


class UnauthenticatedError(TwinshelfError):
    """The caller shows no key that is valid now."""

    reason = "UNAUTHENTICATED"


class PermissionDeniedError(TwinshelfError):
    """The caller's key is valid, but does not allow the method."""

    reason = "PERMISSION_DENIED"


class RateLimitedError(TwinshelfError):
    """The caller's key has used up its calls for now; the call may be repeated later."""

    reason = "RATE_LIMITED"
