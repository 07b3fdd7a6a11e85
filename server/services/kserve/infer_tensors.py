"""Requests and answers of `product_matcher` as tensors on the wire.

Source: the KServe predict protocol, version 2, with Triton's extension of binary tensor data.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import numpy as np
from tritonclient.grpc import service_pb2

from twinshelf.server.errors import InvalidRequestError
from twinshelf.server.services.kserve.matcher_model import (
    INPUTS,
    MAX_BATCH_SIZE,
    MODEL_NAME,
    OUTPUTS,
    TensorSpec,
)
from twinshelf.v1 import matching_service_pb2

_LENGTH: Final = struct.Struct("<I")
_NUMBER: Final = struct.Struct("<i")
_INPUTS: Final = {spec.name: spec for spec in INPUTS}


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchedRow:
    """What one row of a batch is answered with.

    Attributes:
        matches: Product, score (-1 to 1) and probability (0 to 1) of each, best first.
        no_match_probability: Probability that nothing matches; NaN for a row that failed.
        status: Why the row failed; empty when it did not.
    """

    matches: Sequence[tuple[str, float, float]] = ()
    no_match_probability: float = float("nan")
    status: str = ""


def read_requests(
    request: service_pb2.ModelInferRequest, match_count_limit: int
) -> list[matching_service_pb2.MatchProductRequest | InvalidRequestError]:
    """Reads the rows of a batch; a row that is no request is what is wrong with it.

    Args:
        request: The batch.
        match_count_limit: Most matches that a row may ask for.

    Raises:
        InvalidRequestError: If a tensor is unknown, missing, or of another type or shape, or the
            version is no number.
    """
    known = [spec.name for spec in OUTPUTS]
    # Counts come first: what is built of a large message holds up everybody.
    if len(request.outputs) > len(known):
        raise InvalidRequestError(
            f"outputs must be of {known}, each once, got {len(request.outputs)}", field="outputs"
        )
    if unknown := sorted({output.name[:64] for output in request.outputs} - set(known)):
        raise InvalidRequestError(f"outputs must be of {known}, got {unknown}", field="outputs")
    if request.raw_input_contents and len(request.raw_input_contents) != len(request.inputs):
        raise InvalidRequestError(
            f"raw_input_contents must have one entry for each of the {len(request.inputs)} inputs, "
            f"got {len(request.raw_input_contents)}",
            field="raw_input_contents",
        )
    columns: dict[str, list[bytes]] = {}
    row_count = 0
    for position, tensor in enumerate(request.inputs):
        spec = _spec_of(tensor, columns)
        row_count = _row_count(tensor, row_count)
        raw = request.raw_input_contents[position] if request.raw_input_contents else None
        columns[tensor.name] = _elements(tensor, spec, raw, row_count)
    if not {"IMAGE", "TEXT"} & columns.keys():
        raise InvalidRequestError(
            f"{MODEL_NAME} needs IMAGE, TEXT or both, got {sorted(columns) or 'no input'}",
            field="inputs",
        )
    version = read_version(request.model_version)
    return [
        _read_row(
            {name: values[row] for name, values in columns.items()}, version, match_count_limit
        )
        for row in range(row_count)
    ]


def read_version(model_version: str) -> int:
    """Returns the encoder version that a request asks for; 0 for the one that serves.

    Raises:
        InvalidRequestError: If it is no number.
    """
    if not model_version:
        return 0
    if not model_version.isascii() or not model_version.isdecimal() or len(model_version) > 18:
        raise InvalidRequestError(
            f"the version must be that of an encoder, such as '1', got {model_version[:64]!r}",
            field="model_version",
        )
    return int(model_version)


def write_response(
    request: service_pb2.ModelInferRequest, version: int, rows: Sequence[MatchedRow]
) -> service_pb2.ModelInferResponse:
    """Writes the answers of a batch; shorter rows end with empty identifiers and zeros.

    Args:
        request: What is answered, which may ask for some outputs alone.
        version: That of the encoder that answered.
        rows: One answer for each row.
    """
    names = [output.name for output in request.outputs] or [spec.name for spec in OUTPUTS]
    values = _output_values(rows)
    response = service_pb2.ModelInferResponse(
        model_name=MODEL_NAME, model_version=str(version), id=request.id
    )
    for spec in (spec for spec in OUTPUTS if spec.name in names):
        array = values[spec.name]
        response.outputs.add(name=spec.name, datatype=spec.datatype, shape=array.shape)
        response.raw_output_contents.append(
            _join(array.flat) if spec.datatype == "BYTES" else array.tobytes()
        )
    return response


def _spec_of(
    tensor: service_pb2.ModelInferRequest.InferInputTensor, earlier: dict[str, list[bytes]]
) -> TensorSpec:
    spec = _INPUTS.get(tensor.name)
    if spec is None or tensor.name in earlier:
        wrong = "twice" if spec else "as well"
        raise InvalidRequestError(
            f"inputs must be of {list(_INPUTS)}, got {tensor.name[:64]!r} {wrong}", field="inputs"
        )
    if tensor.datatype != spec.datatype:
        raise InvalidRequestError(
            f"{spec.name} must be {spec.datatype}, got {tensor.datatype[:64]!r}", field="inputs"
        )
    return spec


def _row_count(tensor: service_pb2.ModelInferRequest.InferInputTensor, expected: int) -> int:
    shape = list(tensor.shape[:8])
    if len(shape) != 2 or shape[1] != 1 or not 1 <= shape[0] <= MAX_BATCH_SIZE:
        raise InvalidRequestError(
            f"{tensor.name} must be of shape [B, 1] with B from 1 to {MAX_BATCH_SIZE}, got {shape}",
            field="inputs",
        )
    if expected and shape[0] != expected:
        raise InvalidRequestError(
            f"all inputs must have as many rows, got {expected} and {shape[0]} of {tensor.name}",
            field="inputs",
        )
    return int(shape[0])


def _elements(
    tensor: service_pb2.ModelInferRequest.InferInputTensor,
    spec: TensorSpec,
    raw: bytes | None,
    row_count: int,
) -> list[bytes]:
    """Returns the elements of a tensor; numbers as four bytes, as they travel."""
    is_text = spec.datatype == "BYTES"
    values: Sequence[Any]
    if raw is None:
        values = tensor.contents.bytes_contents if is_text else tensor.contents.int_contents
    elif is_text:
        values = list(islice(_split(raw, spec.name), row_count + 1))
    else:
        values = range(0, len(raw) if len(raw) % _NUMBER.size == 0 else 0, _NUMBER.size)
    if len(values) != row_count:
        more = " or more" if raw is not None and is_text and len(values) > row_count else ""
        raise InvalidRequestError(
            f"{spec.name} must hold {row_count} elements as its shape says, "
            f"got {len(values)}{more}",
            field="inputs",
        )
    if is_text:
        return list(values)
    if raw is None:
        return [_NUMBER.pack(value) for value in values]
    return [raw[start : start + _NUMBER.size] for start in values]


def _split(raw: bytes, name: str) -> Iterator[bytes]:
    """Yields the elements of a BYTES tensor, each of which has its length before it."""
    start = 0
    while start < len(raw):
        end = start + _LENGTH.size
        if end <= len(raw):
            end += _LENGTH.unpack_from(raw, start)[0]
        if end > len(raw):
            raise InvalidRequestError(
                f"{name} must hold elements with their lengths before them, "
                f"got one that ends after the {len(raw)} bytes of the tensor",
                field="inputs",
            )
        yield raw[start + _LENGTH.size : end]
        start = end


def _join(elements: Iterable[bytes]) -> bytes:
    return b"".join(_LENGTH.pack(len(each)) + each for each in elements)


def _read_row(
    row: dict[str, bytes], version: int, match_count_limit: int
) -> matching_service_pb2.MatchProductRequest | InvalidRequestError:
    request = matching_service_pb2.MatchProductRequest(encoder_version=version)
    request.offer.image = row.get("IMAGE", b"")
    try:
        request.offer.title = row.get("TEXT", b"").decode()
    except UnicodeDecodeError as error:
        return InvalidRequestError(f"TEXT must be UTF-8: {error.reason}", field="inputs")
    if not (request.offer.image or request.offer.title.strip()):
        return InvalidRequestError(
            "a row must have an IMAGE or a TEXT, both are empty", field="inputs"
        )
    if "K" in row:
        (request.match_count,) = _NUMBER.unpack(row["K"])
        if not 1 <= request.match_count <= match_count_limit:
            return InvalidRequestError(
                f"K must be 1 to {match_count_limit}, got {request.match_count}", field="inputs"
            )
    return request


def _output_values(rows: Sequence[MatchedRow]) -> dict[str, np.ndarray]:
    width = max(len(row.matches) for row in rows)
    product_ids = np.full((len(rows), width), b"", dtype=object)
    scores = np.zeros((len(rows), width), np.float32)
    probabilities = np.zeros((len(rows), width), np.float32)
    for position, row in enumerate(rows):
        for place, (product_id, score, probability) in enumerate(row.matches):
            product_ids[position, place] = product_id.encode()
            scores[position, place] = score
            probabilities[position, place] = probability
    statuses = np.empty((len(rows), 1), dtype=object)
    statuses[:, 0] = [row.status.encode() for row in rows]
    no_match = np.array([[row.no_match_probability] for row in rows], np.float32)
    return {
        "PRODUCT_ID": product_ids,
        "SCORE": scores,
        "PROBABILITY": probabilities,
        "NO_MATCH_PROBABILITY": no_match,
        "STATUS": statuses,
    }
