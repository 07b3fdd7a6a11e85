"""Good and broken requests to the models of a Triton, by a plain tritonclient."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from tritonclient import grpc as triton
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from tests.soak.broken_offers import TITLE, BrokenOffer, broken_offers
from tests.soak.offers import read_products
from tests.soak.tally import Tally

# Of 64 batches at once the last waits a quarter of a minute on two cores.
PATIENCE_S: Final = 60.0
LOST_CODES: Final = ("DEADLINE_EXCEEDED", "UNAVAILABLE", "CANCELLED")
# Sums in another order, as a batch makes them, differ by less.
TOLERANCE: Final = 1e-4
DIMENSION: Final = 256
ENCODERS: Final = {
    "product_encoder": ("EMBEDDING", ("IMAGE", "TEXT")),
    "image_encoder": ("IMAGE_EMBEDDING", ("IMAGE",)),
    "text_encoder": ("TEXT_EMBEDDING", ("TEXT",)),
}
Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class KserveCall:
    """A request and what may come of it.

    Attributes:
        way: How it is broken; empty when it is good.
        model: Whom to ask.
        arrays: Inputs by name.
        may_be_answered: Whether an answer is right too, although it is broken.
        refused_as: The code of a right refusal; None where any will do.
        expected: The embeddings, (B, D), given one by one; None when unknown.
    """

    way: str
    model: str
    arrays: Arrays
    may_be_answered: bool = False
    refused_as: str | None = None
    expected: npt.NDArray[np.float32] | None = None


class KserveCalls:
    """Draws requests for one Triton; good ones with the answer that each row gets alone."""

    def __init__(self, address: str, *, offer_count: int = 24, seed: int = 0) -> None:
        """Asks for the answers alone.

        Args:
            address: host:port of Triton's gRPC.
            offer_count: Good offers to draw from.
            seed: For the draws.
        """
        self._chance = random.Random(seed)
        self._broken = broken_offers(seed)
        products = read_products("queries", offer_count)
        self._rows = [{"IMAGE": p.image, "TEXT": p.title.encode()} for p in products]
        self._alone: dict[str, npt.NDArray[np.float32]] = {}
        with triton.InferenceServerClient(address) as client:
            for model, (output, names) in ENCODERS.items():
                answers = [
                    infer(client, model, {n: as_bytes([row[n]]) for n in names}, PATIENCE_S)[output]
                    for row in self._rows
                ]
                self._alone[model] = np.concatenate(answers)
            self._fed_nan = _calls_with_nan(client)

    def draw(self, count: int, *, in_batches: bool) -> list[KserveCall]:
        """Returns requests, half of them broken, of one row each or of 2 to 32."""
        kinds = itertools.cycle((self._good, self._broken_offer, self._good, self._any_broken))
        return [kind(in_batches) for kind in itertools.islice(kinds, count)]

    def _good(self, in_batches: bool) -> KserveCall:
        model = self._chance.choice(list(ENCODERS))
        places = self._places(in_batches)
        arrays = self._inputs(model, places)
        return KserveCall(way="", model=model, arrays=arrays, expected=self._alone[model][places])

    def _any_broken(self, in_batches: bool) -> KserveCall:
        return self._chance.choice([*self.broken_tensors(), self._broken_offer(in_batches)])

    def _broken_offer(self, in_batches: bool) -> KserveCall:
        offer = self._chance.choice(self._broken)
        model = self._chance.choice(_models_for(offer))
        arrays = self._inputs(model, self._places(in_batches))
        place = self._chance.randrange(len(next(iter(arrays.values()))))
        for name, value in (("IMAGE", offer.image), ("TEXT", offer.text or TITLE)):
            if name in arrays:
                arrays[name][place, 0] = value
        is_harmless = model == "text_encoder" and offer.text == TITLE
        return KserveCall(
            way=offer.way,
            model=model,
            arrays=arrays,
            may_be_answered=offer.may_be_answered or offer.may_be_answered_by_triton or is_harmless,
        )

    def broken_tensors(self) -> list[KserveCall]:
        """Returns a request for each way in which a tensor can be broken."""
        ids = np.ones((1, 16), np.int64)
        image, text = as_bytes([self._rows[0]["IMAGE"]]), as_bytes([TITLE])
        many = np.repeat
        made: dict[str, tuple[str, dict[str, np.ndarray]]] = {
            "unknown tokens": (
                "text_tower",
                {"INPUT_IDS": ids * 10**9, "ATTENTION_MASK": ids},
            ),
            "wrong shape": ("product_encoder", {"IMAGE": many(image, 2, 1), "TEXT": text}),
            "wrong type": ("product_encoder", {"IMAGE": np.ones((1, 1), np.int64), "TEXT": text}),
            "missing input": ("product_encoder", {"TEXT": text}),
            "wrong name": ("product_encoder", {"PHOTO": image, "TEXT": text}),
            "batch above the maximum": (
                "product_encoder",
                {"IMAGE": many(image, 33, 0), "TEXT": many(text, 33, 0)},
            ),
            "uneven batches": ("product_encoder", {"IMAGE": many(image, 2, 0), "TEXT": text}),
            "unknown model": ("no_such_model", {"TEXT": text}),
        }
        calls = [
            KserveCall(way=way, model=model, arrays=arrays) for way, (model, arrays) in made.items()
        ]
        return calls + self._fed_nan

    def _places(self, in_batches: bool) -> list[int]:
        size = self._chance.randint(2, 32) if in_batches else 1
        return [self._chance.randrange(len(self._rows)) for _ in range(size)]

    def _inputs(self, model: str, places: Sequence[int]) -> Arrays:
        names = ENCODERS[model][1]
        return {name: as_bytes([self._rows[place][name] for place in places]) for name in names}


def run(address: str, calls: Sequence[KserveCall], concurrency: int) -> Tally:
    """Sends requests from threads; stops at the first that hangs."""
    tally, stop = Tally(), threading.Event()
    left: Iterator[KserveCall] = iter(calls)
    lock = threading.Lock()

    def caller() -> None:
        with triton.InferenceServerClient(address) as client:
            while not stop.is_set():
                with lock:
                    call = next(left, None)
                if call is None:
                    return
                _judge(client, call, tally)
                if tally.lost_count:
                    stop.set()

    threads = [threading.Thread(target=caller) for _ in range(concurrency)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return tally


def answering_models(address: str) -> dict[str, bool]:
    """Returns for each encoder whether it still answers a good request."""
    row = {"IMAGE": read_products("queries", 1)[0].image, "TEXT": TITLE}
    found = {}
    with triton.InferenceServerClient(address) as client:
        for model, (_, names) in ENCODERS.items():
            try:
                infer(client, model, {name: as_bytes([row[name]]) for name in names}, PATIENCE_S)
                found[model] = True
            except InferenceServerException:
                found[model] = False
    return found


def infer(
    client: triton.InferenceServerClient, model: str, arrays: Arrays, timeout_s: float
) -> Arrays:
    """Returns the outputs of a model.

    Raises:
        InferenceServerException: If it refuses, or does not answer in time.
    """
    inputs = []
    for name, array in arrays.items():
        tensor = triton.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
        inputs.append(tensor.set_data_from_numpy(array))
    result = client.infer(model, inputs, client_timeout=timeout_s)
    return {each.name: result.as_numpy(each.name) for each in result.get_response().outputs}


def as_bytes(values: Sequence[bytes]) -> npt.NDArray[np.object_]:
    """Returns a BYTES tensor (B, 1)."""
    return np.array(values, dtype=object).reshape(-1, 1)


def _calls_with_nan(client: triton.InferenceServerClient) -> list[KserveCall]:
    """Returns requests that feed NaN to the models behind preprocessing.

    The towers take whole numbers, of which none is NaN: what brings floats is refused. Fusion takes
    floats: the row with NaN gets no embedding, and its neighbours those that they get alone.
    """
    calls = []
    for tower in ("image_tower", "text_tower"):
        shapes = {each.name: each.shape[1:] for each in client.get_model_metadata(tower).inputs}
        arrays = {
            # A side that may have any length is stated as -1.
            name: np.full((1, *(abs(side) for side in shape)), np.nan, np.float32)
            for name, shape in shapes.items()
        }
        calls.append(
            KserveCall(
                way=f"NaN to {tower}", model=tower, arrays=arrays, refused_as="INVALID_ARGUMENT"
            )
        )
    half = np.full((1, DIMENSION), 1 / 16, np.float32)
    rows = [{"IMAGE_EMBEDDING": image, "TEXT_EMBEDDING": half} for image in (half, half * np.nan)]
    alone = [infer(client, "fusion", row, PATIENCE_S)["EMBEDDING"] for row in rows]
    places = (0, 1, 0)
    calls.append(
        KserveCall(
            way="NaN to fusion",
            model="fusion",
            arrays={name: np.concatenate([rows[p][name] for p in places]) for name in rows[0]},
            expected=np.concatenate([alone[place] for place in places]),
        )
    )
    return calls


def _judge(client: triton.InferenceServerClient, call: KserveCall, tally: Tally) -> None:
    where = f"{call.model}, {call.way or 'good'}"
    start_s = time.monotonic()
    try:
        answer = infer(client, call.model, call.arrays, PATIENCE_S)
    except InferenceServerException as error:
        code = str(error.status() or "").removeprefix("StatusCode.")
        if code in LOST_CODES:
            tally.lose(f"{where}: {code} after {time.monotonic() - start_s:.1f} s")
        elif call.way and code == (call.refused_as or code):
            tally.refuse(code)
        else:
            tally.wrong(f"{where}: {code}: {error.message()}")
        return
    finally:
        tally.took(time.monotonic() - start_s)
    rows = next(iter(answer.values()))
    if call.expected is not None and (difference := _difference(rows, call.expected)):
        tally.wrong(f"{where}: other than alone{difference}")
    elif not call.way:
        tally.good()
    elif call.may_be_answered or not _is_plausible(rows):
        tally.odd()
    else:
        tally.wrong(f"{where}: answered")


def _difference(rows: npt.NDArray[Any], expected: npt.NDArray[np.float32]) -> str:
    """Returns by how much an answer differs from what is expected; nothing where it does not."""
    if rows.shape != expected.shape:
        return f": {rows.shape}, not {expected.shape}"
    if np.allclose(rows, expected, rtol=0, atol=TOLERANCE, equal_nan=True):
        return ""
    return f" by {np.abs(rows - expected).max():.2g}"


def _is_plausible(rows: npt.NDArray[Any]) -> bool:
    """Whether every row is an embedding."""
    return bool(np.isfinite(rows).all() and (np.abs(rows).sum(-1) > 0).all())


def _models_for(offer: BrokenOffer) -> list[str]:
    models = ["product_encoder", "product_encoder"]
    models += ["text_encoder"] if offer.text and offer.text != TITLE else []
    return models + (["image_encoder"] if offer.image and offer.text == TITLE else [])
