"""Generated photos and texts through a running Triton: each is answered, or refused as invalid."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from tritonclient.grpc import InferenceServerClient
from tritonclient.utils import InferenceServerException

from tests.fuzz.photo_mutations import make_photo, seed_photos
from tests.fuzz.tally import CallTally
from tests.fuzz.text_mutations import make_text
from tests.model_repository.triton_calls import as_bytes, infer

MODELS = {
    "image_preprocess": ("IMAGE",),
    "text_preprocess": ("TEXT",),
    "image_encoder": ("IMAGE",),
    "text_encoder": ("TEXT",),
    "product_encoder": ("IMAGE", "TEXT"),
}
_CALLER_COUNT = 8
_SOUND_SHARE = 0.3
_MAX_ROWS = 4
_REFUSED = "StatusCode.INVALID_ARGUMENT"


def fuzz_triton(address: str, seed: int, count: int, seconds: float) -> CallTally:
    """Sends generated inputs to every model from several callers, and then sound ones.

    Args:
        address: HOST:PORT of Triton's gRPC.
        seed: Seed of the inputs.
        count: How many calls at most.
        seconds: When to stop.
    """
    tally = CallTally()
    deadline_s = time.monotonic() + seconds
    clients = threading.local()

    def call(number: int) -> None:
        if time.monotonic() > deadline_s:
            return
        if not hasattr(clients, "client"):
            clients.client = InferenceServerClient(address)
        rng = random.Random(f"triton {seed} {number}")
        model = rng.choice(tuple(MODELS))
        rows = rng.choice((1, 1, 1, _MAX_ROWS))
        arrays = {
            name: as_bytes(
                [_make(name, rng, seed, _MAX_ROWS * number + row) for row in range(rows)]
            )
            for name in MODELS[model]
        }
        try:
            infer(clients.client, model, **arrays)
            tally.count(model, "answered")
        except InferenceServerException as error:
            tally.count(model, str(error.status()))
            if error.status() != _REFUSED:
                tally.fail(number, f"{model}: {error}"[:300])

    with ThreadPoolExecutor(_CALLER_COUNT) as pool:
        list(pool.map(call, range(count)))
    _ask_every_model(address, tally)
    return tally


def _ask_every_model(address: str, tally: CallTally) -> None:
    """Whatever came before, a sound input is answered."""
    sound = {"IMAGE": seed_photos()[0], "TEXT": b"red tea"}
    with InferenceServerClient(address) as client:
        for model, names in MODELS.items():
            try:
                infer(client, model, **{name: as_bytes([sound[name]]) for name in names})
            except InferenceServerException as error:
                tally.fail(-1, f"{model} afterwards: {error}"[:300])


def _make(name: str, rng: random.Random, seed: int, number: int) -> bytes:
    if rng.random() < _SOUND_SHARE:
        return seed_photos()[rng.randrange(4)] if name == "IMAGE" else b"red tea"
    return (make_photo if name == "IMAGE" else make_text)(seed, number)
