"""What the errors of Triton's client say."""

from __future__ import annotations

import re

import grpc
from tritonclient.utils import InferenceServerException

_AWAY = {
    str(code)
    for code in (
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    )
}
_SICK_MODEL = re.compile("Stub process '[^']*' is not healthy")
_UNKNOWN_MODEL = "Request for unknown model"
# What Triton puts around the sentence of a model.
_DECORATIONS = re.compile(
    r"^(\[request id: [^\]]*\] |in ensemble '[^']*', |"
    r"Failed to process the request\(s\) for model( instance)? '[^']*', message: |"
    r"TritonModelException: )+"
)


def is_away(error: InferenceServerException) -> bool:
    """Tells whether Triton, or the model, could not be reached: a repeat may help."""
    # Of a frozen or dead Python model it says INTERNAL, which else is the fault of a request.
    return error.status() in _AWAY or bool(_SICK_MODEL.match(sentence_of(error)))


def is_missing(error: InferenceServerException) -> bool:
    """Tells whether Triton says that it serves no such model."""
    # It answers UNAVAILABLE for a model that it is still loading.
    is_unknown = sentence_of(error).startswith(_UNKNOWN_MODEL)
    return is_unknown or error.status() == str(grpc.StatusCode.NOT_FOUND)


def sentence_of(error: InferenceServerException) -> str:
    """Returns the sentence of an error without what Triton puts around it."""
    text = _DECORATIONS.sub("", error.message() or "no reason was given")
    # What follows is a traceback of the model, or the addresses that were tried.
    return re.split(r"\n\nAt:\n|; last error: ", text, maxsplit=1)[0].strip()
