"""The checks of Triton: ready, closed, and serving the encoder that the service speaks of."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from twinshelf.client.doctor.endpoint import Endpoint
from twinshelf.client.doctor.findings import Finding, bad, doubtful, good
from twinshelf.client.doctor.network import HttpAnswer, Language, ask, language
from twinshelf.client.doctor.service import short

ENCODERS: Final = ("image_encoder", "text_encoder", "product_encoder")
_CONTRACT: Final = "twinshelf_contract"
# Of no repository: where loading is open, it comes to nothing.
_NO_MODEL: Final = "twinshelf_doctor_finds_no_such_model"
_CLOSED: Final = ("not allowed", "restricted", "not supported", "disabled")
_START: Final = "Start Triton with `make triton`, or give its address by --triton."
_RESTART: Final = "Restart it; `make triton` does so by itself when its canary is stuck."
_PUBLISH: Final = "Publish it with `make export`, and start Triton again."


@dataclass(frozen=True, slots=True, kw_only=True)
class TritonTarget:
    """The Triton to check.

    Attributes:
        grpc: Its gRPC port.
        http: Its HTTP port.
        timeout_s: For each step, seconds.
    """

    grpc: Endpoint
    http: Endpoint
    timeout_s: float


def check_triton(target: TritonTarget, reached: Collection[str]) -> list[Finding]:
    """Looks at Triton.

    Args:
        target: Where it is.
        reached: Digests of the encoders that the service reaches; empty when not known.
    """
    try:
        spoken = language(target.grpc, target.timeout_s)
    except OSError as error:
        said = f"{target.grpc} cannot be reached: {error.strerror or error}"
        return [bad("triton", said, _START)]
    if spoken is Language.SILENCE:
        said = f"{target.grpc} takes connections and says nothing: it hangs"
        return [bad("triton", said, _RESTART)]
    if spoken is not Language.HTTP2:
        said = f"{target.grpc} answers, but speaks {spoken.value}"
        return [bad("triton", said, "Give Triton's gRPC port by --triton; HTTP is --triton-http.")]
    try:
        return list(_look(target, reached))
    except OSError as error:
        return [
            doubtful(
                "triton",
                f"{target.grpc} answers, but its HTTP at {target.http} does not: {error}",
                "Give Triton's HTTP port by --triton-http; when it is the right one and does not "
                "answer, restart Triton.",
            )
        ]


def _look(target: TritonTarget, reached: Collection[str]) -> Iterator[Finding]:
    live = _ask(target, "/v2/health/live")
    if live.status != HTTPStatus.OK:
        yield bad("triton", f"{target.http} is not live (HTTP {live.status})", _START)
        return
    version = _member(_ask(target, "/v2").text, "version") or "of an unknown version"
    if _ask(target, "/v2/health/ready").status == HTTPStatus.OK:
        yield good("triton", f"{version} at {target.grpc} is ready")
    else:
        yield bad(
            "triton",
            f"{version} at {target.grpc} is not ready",
            "Wait while it loads its models; when it stays so, read its log.",
        )
    missing = [
        name
        for name in ENCODERS
        if _ask(target, f"/v2/models/{name}/ready").status != HTTPStatus.OK
    ]
    if missing:
        yield bad("models", f"not ready: {', '.join(missing)}", _PUBLISH)
    else:
        yield good("models", f"{', '.join(ENCODERS)} are ready")
    yield from _check_contract(target, reached)
    yield _check_control(target)


def _check_contract(target: TritonTarget, reached: Collection[str]) -> Iterator[Finding]:
    digests = {name: _digest(target, name) for name in ENCODERS}
    if "" in digests.values():
        without = ", ".join(name for name, digest in digests.items() if not digest)
        yield bad("contract", f"none in {without}: no published version", _PUBLISH)
        return
    (digest, *others) = sorted(set(digests.values()))
    if others:
        yield bad("contract", "the encoders were not published together", _PUBLISH)
    elif reached and digest not in reached:
        yield bad(
            "contract",
            f"Triton serves {short(digest)}, and the service reaches "
            + ", ".join(map(short, reached)),
            "See that the service's --triton is this Triton, and restart the service when it is.",
        )
    elif reached:
        yield good("contract", f"Triton and the service agree on {short(digest)}")
    else:
        yield good("contract", f"Triton serves {short(digest)}")


def _check_control(target: TritonTarget) -> Finding:
    """Asks to load a model that is not there: who may ask can run programs of their own."""
    answer = _ask(target, f"/v2/repository/models/{_NO_MODEL}/load", body=b"{}")
    if any(word in answer.text.lower() for word in _CLOSED) or answer.status in (
        HTTPStatus.NOT_FOUND,
        HTTPStatus.METHOD_NOT_ALLOWED,
    ):
        return good("control", "nobody can load models")
    if not target.http.is_loopback:
        return bad("control", _open_text(target), _CLOSE)
    return doubtful("control", _open_text(target), _CLOSE)


_CLOSE: Final = (
    "Start Triton with `make triton`, or with --model-control-mode=none; "
    "or restrict model-repository by --http-restricted-api and --grpc-restricted-protocol."
)


def _open_text(target: TritonTarget) -> str:
    return f"whoever reaches {target.http} can load models, and by them run programs"


def _digest(target: TritonTarget, model: str) -> str:
    """The digest in the contract of a model; empty when it has none."""
    try:
        parameters = json.loads(_ask(target, f"/v2/models/{model}/config").text)["parameters"]
        return str(json.loads(parameters[_CONTRACT]["string_value"])["digest"])
    except (KeyError, TypeError, ValueError):
        return ""


def _member(text: str, name: str) -> str:
    try:
        return str(json.loads(text)[name])
    except (KeyError, TypeError, ValueError):
        return ""


def _ask(target: TritonTarget, path: str, *, body: bytes | None = None) -> HttpAnswer:
    return ask(f"http://{target.http}{path}", target.timeout_s, body=body)
