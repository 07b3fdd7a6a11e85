"""Canaries: small inferences that tell a Triton that works from one that only says it is ready.

A canary that stays unanswered is never cancelled, because server 2.51 dies of cancelled inferences.
It is left outstanding and looked at. When the process of a model stands still, Triton refuses at
once, so that refusals count as silence too. Whether Triton is stuck, or merely has much to do, is
told by what its models do meanwhile.
"""

from __future__ import annotations

import http.client
import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from tritonclient import grpc as triton
from tritonclient.grpc.model_config_pb2 import ModelConfig
from tritonclient.utils import np_to_triton_dtype

from twinshelf.server.triton.child_processes import children, command_line, cpu_time_s
from twinshelf.server.triton.repository import PAIR_SCORER

logger = logging.getLogger(__name__)

# A grey PNG of 16 pixels a side. Not black: a tower without biases makes nothing of that.
CANARY_PHOTO: Final = bytes.fromhex(
    "89504e470d0a1a0a0000000d494844520000001000000010080200000090916836000000144944415478da636820"
    "11308c6a18d5307c35000025848010bc6ff1cf0000000049454e44ae426082"
)
# No words: whatever they were, an encoder of another script would know none of them.
CANARY_TEXT: Final = ""
# Triton is ours and near: a proxy that is set for the web must not be asked for it.
_CHANNEL_OPTIONS: Final = [("grpc.enable_http_proxy", 0)]
_PAUSE_S: Final = 1.0
_METRICS_TIMEOUT_S: Final = 0.25
# From here on it is looked up what the models do.
_LATE_S: Final = 0.5
# Models that use this share of a processor are at work, and get longer.
_BUSY_SHARE: Final = 0.2
_BUSY_PATIENCE: Final = 10
_FINISHED: Final = re.compile(
    r'^nv_inference_request_success{model="([^"]+)"[^}]*} (\d+)', re.MULTILINE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """What is asked of one ensemble again and again.

    Attributes:
        ensemble: The ensemble.
        inputs: Each input, of one row.
        counted: The step whose finished requests show that the ensemble moves: its last one.
        steps: The models that work for it.
    """

    ensemble: str
    inputs: Mapping[str, np.ndarray]
    counted: str
    steps: tuple[str, ...]


def _text(value: bytes) -> np.ndarray:
    return np.array([[value]], dtype=np.object_)


CANARIES: Final = (
    Canary(
        ensemble="image_encoder",
        inputs={"IMAGE": _text(CANARY_PHOTO)},
        counted="image_tower",
        steps=("image_preprocess", "image_tower"),
    ),
    Canary(
        ensemble="text_encoder",
        inputs={"TEXT": _text(CANARY_TEXT.encode())},
        counted="text_tower",
        steps=("text_preprocess", "text_tower"),
    ),
    Canary(
        ensemble="product_encoder",
        inputs={"IMAGE": _text(CANARY_PHOTO), "TEXT": _text(CANARY_TEXT.encode())},
        counted="fusion",
        steps=("image_preprocess", "image_tower", "text_preprocess", "text_tower", "fusion"),
    ),
)


def canaries_of(models: Sequence[str], config_of: Callable[[str], ModelConfig]) -> list[Canary]:
    """Returns the canaries of the models that have one.

    Args:
        models: The models that a server was asked to serve.
        config_of: Returns the configuration that a model is served with.
    """
    found = [each for each in CANARIES if each.ensemble in models]
    if PAIR_SCORER in models:
        # Cosines are three or four, as the version was trained.
        (cosines,) = (each for each in config_of(PAIR_SCORER).input if each.name == "COSINES")
        inputs = {
            "LEFT": _text(b"{}"),
            "RIGHT": _text(b"{}"),
            "COSINES": np.full((1, *cosines.dims), np.nan, np.float32),
        }
        steps = ("pair_features", "pair_classifier")
        found.append(Canary(ensemble=PAIR_SCORER, inputs=inputs, counted=steps[-1], steps=steps))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the models of an ensemble have come.

    Attributes:
        at: When it was looked up, in seconds of a steady clock.
        finished: Requests that its last step has finished; None when Triton does not tell.
        cpu_s: Processor time that its models have used.
    """

    at: float
    finished: int | None
    cpu_s: float

    def has_finished_since(self, before: Progress) -> bool:
        """Whether a request was finished since then."""
        if self.finished is None or before.finished is None:
            return False
        return self.finished > before.finished

    def is_busy_since(self, before: Progress) -> bool:
        """Whether the models were at work since then."""
        return self.cpu_s - before.cpu_s >= _BUSY_SHARE * (self.at - before.at) > 0


class CanaryWatch:
    """One canary after the other to one ensemble, and what is thought of the silence of one."""

    def __init__(
        self,
        canary: Canary,
        *,
        send: Callable[[], OutstandingCall],
        look: Callable[[float], Progress],
    ) -> None:
        """Takes how a canary is sent, and how progress is looked up at a time."""
        self._canary = canary
        self._send = send
        self._look = look
        self._call: OutstandingCall | None = None
        self._sent_at = 0.0
        # When the first canary was sent that was not answered well, and when a model last moved.
        self._quiet_since: float | None = None
        self._moved_at = 0.0
        self._finished_at = 0.0  # or, at first, when it became quiet
        self._progress: Progress | None = None
        self._error: Exception | None = None
        self._has_worked = False

    def reason_if_stuck(self, now: float, stuck_after_s: float) -> str | None:
        """Sends a canary when it is time; says why the ensemble is stuck, or None.

        Args:
            now: Seconds of a steady clock, rising from call to call.
            stuck_after_s: How long there may be no good answer while no model moves.
        """
        self._take_answer()
        is_outstanding = self._call is not None and not self._call.is_answered
        if not is_outstanding and (self._call is None or now - self._sent_at >= _PAUSE_S):
            self._call, self._sent_at = self._send(), now
            if self._quiet_since is None:
                self._quiet_since = self._moved_at = self._finished_at = now
        if self._quiet_since is None or now - self._quiet_since < _LATE_S:
            return None
        if not is_outstanding and not self._has_worked:
            return None  # it was never answered well: nothing that a restart would change
        self._note_progress(now, _BUSY_PATIENCE * stuck_after_s)
        if now - self._moved_at < stuck_after_s:
            return None
        what = "not answered" if self._error is None else f"refused ({self._error})"
        return (
            f"{self._canary.ensemble} has {what} for {now - self._quiet_since:.1f} s, and "
            f"{self._canary.counted} has finished no request meanwhile"
        )

    def _take_answer(self) -> None:
        call = self._call
        if call is None or not call.is_answered:
            return
        if call.error is None:
            self._has_worked = True
            self._quiet_since = self._progress = None
        elif self._error is None:
            logger.warning("%s refuses a canary: %s", self._canary.ensemble, call.error)
        self._error = call.error

    def _note_progress(self, now: float, busy_patience_s: float) -> None:
        before, after = self._progress, self._look(now)
        self._progress = after
        if before is None:
            return
        if after.has_finished_since(before):
            self._moved_at = self._finished_at = now
        elif after.is_busy_since(before) and now - self._finished_at < busy_patience_s:
            self._moved_at = now


class OutstandingCall:
    """An inference that was sent, and its end."""

    def __init__(self) -> None:
        """Waits for its end."""
        self.is_answered = False
        self.error: Exception | None = None
        # Held as long as it is outstanding: a call that is let go of is cancelled.
        self.context: object = None

    def end(self, result: object, error: Exception | None) -> None:
        """Notes the answer; called by a thread of the client."""
        self.error = error
        self.is_answered = True


class CanaryCage:
    """All canaries of one run of a server."""

    def __init__(
        self, *, pid: int, grpc_address: str, metrics_address: str, canaries: Sequence[Canary]
    ) -> None:
        """Takes the server, ready, and what to ask it."""
        self._pid = pid
        self._metrics_address = metrics_address
        self._client = triton.InferenceServerClient(grpc_address, channel_args=_CHANNEL_OPTIONS)
        self._finished: tuple[float, Mapping[str, int]] = (0.0, {})
        self._watches = [
            CanaryWatch(each, send=partial(self._send, each), look=partial(self._look, each))
            for each in canaries
        ]

    def reason_if_stuck(self, stuck_after_s: float) -> str | None:
        """Looks at every canary; returns why the server is stuck, or None."""
        now = time.monotonic()
        reasons = [watch.reason_if_stuck(now, stuck_after_s) for watch in self._watches]
        return next(filter(None, reasons), None)

    def close(self) -> None:
        """Lets go of what is outstanding; the server must have ended."""
        self._client.close()

    def _send(self, canary: Canary) -> OutstandingCall:
        call = OutstandingCall()
        inputs = [_input(name, row) for name, row in canary.inputs.items()]
        call.context = self._client.async_infer(canary.ensemble, inputs, call.end)
        return call

    def _look(self, canary: Canary, now: float) -> Progress:
        if self._finished[0] != now:  # asked once for all canaries of a moment
            self._finished = (now, finished_requests(self._metrics_address))
        return Progress(
            at=now,
            finished=self._finished[1].get(canary.counted),
            cpu_s=_cpu_time_of_models_s(self._pid, canary),
        )


def finished_requests(metrics_address: str) -> dict[str, int]:
    """Returns how many requests each model has answered well; nothing when Triton does not tell."""
    connection = http.client.HTTPConnection(metrics_address, timeout=_METRICS_TIMEOUT_S)
    try:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return {}
    finally:
        connection.close()
    return {model: int(count) for model, count in _FINISHED.findall(text)}


def _cpu_time_of_models_s(pid: int, canary: Canary) -> float:
    commands = {stub: " ".join(command_line(stub)) for stub in children(pid)}
    at_work = {
        stub for stub, words in commands.items() for step in canary.steps if f"/{step}/" in words
    }
    if not any(f"/{canary.counted}/" in words for words in commands.values()):
        at_work.add(pid)  # on a native backend, a model computes in the server's own process
    return sum(cpu_time_s(each) for each in at_work)


def _input(name: str, row: np.ndarray) -> Any:
    tensor = triton.InferInput(name, list(row.shape), np_to_triton_dtype(row.dtype))
    return tensor.set_data_from_numpy(row)
