"""The checks of the service's metrics: what it says of itself at its own port."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from twinshelf.client.doctor.endpoint import Endpoint
from twinshelf.client.doctor.findings import Finding, bad, doubtful, good
from twinshelf.client.doctor.network import ask
from twinshelf.client.errors import TwinshelfError

_SAMPLE: Final = re.compile(r"(\w+)(?:\{(.*)\})?\s+(\S+)")
_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_SLOW_CANARY_S: Final = 1.0
# Errors that no caller could have avoided.
_TROUBLES: Final = frozenset(
    (
        "DEADLINE_TOO_SHORT",
        "ENCODER_CONTRACT",
        "ENCODER_FAILED",
        "ENCODER_UNAVAILABLE",
        "INTERNAL",
        "SERVER_BUSY",
        "TOO_MANY_BYTES",
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A number of the metrics.

    Attributes:
        name: Of the metric.
        labels: Which row of it.
        value: The number; NaN when it is not known.
    """

    name: str
    labels: Mapping[str, str]
    value: float


def read_samples(text: str) -> list[Sample]:
    """Reads metrics in the text form of Prometheus; lines of another kind are left out.

    Args:
        text: What the port answered.
    """
    samples = []
    for line in text.splitlines():
        if line.startswith("#") or not (found := _SAMPLE.match(line)):
            continue
        try:
            value = float(found[3])
        except ValueError:
            continue
        labels = dict(_LABEL.findall(found[2] or ""))
        samples.append(Sample(name=found[1], labels=labels, value=value))
    return samples


def check_metrics(
    endpoint: Endpoint, timeout_s: float, count_products: Callable[[], object]
) -> list[Finding]:
    """Reads the metrics and says what they mean.

    Args:
        endpoint: The service's own metrics, not those of Triton.
        timeout_s: For each step, seconds.
        count_products: Calls GetCatalogStats of the service, which its own metrics count.
    """
    is_answered = True
    try:
        counted_before = _count_of_stats(ask(f"http://{endpoint}/metrics", timeout_s).text)
        try:
            count_products()
        except TwinshelfError:  # told of by another check
            is_answered = False
        answer = ask(f"http://{endpoint}/metrics", timeout_s)
    except OSError as error:
        return [
            bad(
                "metrics",
                f"{endpoint} cannot be read: {error}",
                "Give the --metrics-address of the service by --metrics, or serve with one.",
            )
        ]
    samples = read_samples(answer.text)
    if not any(sample.name == "twinshelf_encoder_up" for sample in samples):
        return [
            bad(
                "metrics",
                f"{endpoint} holds no metrics of Twinshelf (HTTP {answer.status})",
                "Give the --metrics-address of the service by --metrics: another program has this "
                "port (Triton's metrics?).",
            )
        ]
    if is_answered and _count_of_stats(answer.text) == counted_before:
        return [
            doubtful(
                "metrics",
                f"{endpoint} holds the metrics of another Twinshelf: it did not count a call here",
                "Give the --metrics-address of this service by --metrics; of several servers "
                "behind one address each counts its own calls.",
            )
        ]
    return [good("metrics", f"{endpoint} answers"), *_meaning(samples)]


def _count_of_stats(text: str) -> float:
    """Returns how often GetCatalogStats was called, as metrics say."""
    return sum(
        sample.value
        for sample in read_samples(text)
        if sample.name == "twinshelf_call_seconds_count"
        and sample.labels.get("method") == "GetCatalogStats"
    )


def _meaning(samples: list[Sample]) -> Iterator[Finding]:
    values = {sample.name: sample.value for sample in samples}
    if values["twinshelf_encoder_up"] != 1:
        yield bad(
            "encoder up",
            "the service says that its encoder or its catalogue cannot be used",
            "Read the log of the service, which has the reason.",
        )
    stuck_count = values.get("twinshelf_stuck_calls", 0)
    if stuck_count > 0:
        yield bad(
            "stuck calls",
            f"{stuck_count:.0f} inferences were sent to Triton and never answered",
            "Restart Triton; `make triton` does so by itself when its canary is stuck.",
        )
    else:
        yield good("stuck calls", "Triton owes no answer")
    yield _canary(samples)
    yield _refusals(samples)


def _canary(samples: list[Sample]) -> Finding:
    canaries = {
        sample.labels.get("modality", "?"): sample.value
        for sample in samples
        if sample.name == "twinshelf_canary_seconds" and not math.isnan(sample.value)
    }
    if not canaries:
        return good("canary", "none was needed yet")
    told = ", ".join(f"{name} {value * 1000:.0f} ms" for name, value in sorted(canaries.items()))
    if max(canaries.values()) > _SLOW_CANARY_S:
        remedy = "Look at the load of Triton's machine, and at Triton's log."
        return doubtful("canary", f"a test embedding takes long: {told}", remedy)
    return good("canary", told)


def _refusals(samples: list[Sample]) -> Finding:
    counts = {
        sample.labels.get("reason", "?"): int(sample.value)
        for sample in samples
        if sample.name == "twinshelf_refusals_total" and sample.value > 0
    }
    troubles = {reason: count for reason, count in counts.items() if reason in _TROUBLES}
    if not troubles:
        return good("refusals", "none but for the callers' own mistakes")
    told = ", ".join(f"{reason} {count:,}" for reason, count in sorted(troubles.items()))
    return doubtful(
        "refusals",
        f"since its start: {told}",
        "See in the metrics whether they still grow; if so, the log has the reasons.",
    )
