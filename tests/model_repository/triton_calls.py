"""Calls to Triton, as tests write them: arrays in, arrays out, photos drawn on the spot."""

from __future__ import annotations

import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
from PIL import Image
from tritonclient import grpc as triton
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

CALL_TIMEOUT_S = 30


def as_bytes(values: Sequence[bytes]) -> npt.NDArray[np.object_]:
    """Returns a BYTES tensor (B, 1)."""
    return np.array(values, dtype=object).reshape(-1, 1)


def infer(
    client: triton.InferenceServerClient, model: str, **arrays: np.ndarray
) -> dict[str, np.ndarray]:
    """Returns all outputs of a model for named inputs."""
    inputs = []
    for name, array in arrays.items():
        tensor = triton.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
        inputs.append(tensor.set_data_from_numpy(array))
    result = client.infer(model, inputs, client_timeout=CALL_TIMEOUT_S)
    return {each.name: result.as_numpy(each.name) for each in result.get_response().outputs}


def infer_together(
    client: triton.InferenceServerClient, model: str, requests: Sequence[dict[str, np.ndarray]]
) -> list[dict[str, np.ndarray] | InferenceServerException]:
    """Sends requests at the same time; returns answers, and errors in their places."""

    def ask(request: dict[str, np.ndarray]) -> dict[str, np.ndarray] | InferenceServerException:
        try:
            return infer(client, model, **request)
        except InferenceServerException as error:
            return error

    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(ask, requests))


def photo(width: int, height: int, seed: int = 0, image_format: str = "JPEG") -> bytes:
    """Returns an encoded photo of smooth noise."""
    small = np.random.default_rng(seed).integers(0, 256, size=(4, 4, 3), dtype=np.uint8)
    image = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.save(buffer, image_format)
    return buffer.getvalue()
