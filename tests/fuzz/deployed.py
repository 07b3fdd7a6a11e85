"""Generated calls to a Triton and a service of our own, which are to live through all of them."""

from __future__ import annotations

from pathlib import Path

from tests.export.trained_pairs import make_pair_run
from tests.fuzz.service_calls import fuzz_service
from tests.fuzz.tally import CallTally
from tests.fuzz.triton_calls import fuzz_triton
from tests.model_repository.tiny_repository import publish_tiny_version
from tests.soak.deployment import Deployment, is_serving
from twinshelf.export.pair_scorer_publishing import publish_pair_scorer

SERVING_TIMEOUT_S = 60.0
TRITON, SERVICE = "Triton", "the service"


def fuzz_deployment(folder: Path, seed: int, count: int, seconds: float) -> dict[str, CallTally]:
    """Starts a Triton with tiny towers and a service on it, and sends calls to one, then the other.

    Args:
        folder: For the models, the catalogue and the logs.
        seed: Seed of the calls.
        count: How many calls to each at most.
        seconds: How long each may take.

    Returns:
        What the calls to each came to.
    """
    deployment = Deployment(folder, repository=folder / "model_repository", version=1)
    _publish(folder)
    with deployment as started:
        before = started.tritonserver
        tallies = {TRITON: fuzz_triton(started.triton_address, seed, count, seconds)}
        if not is_serving(started.address, SERVING_TIMEOUT_S):
            tallies[TRITON].fail(-1, f"the service did not serve for {SERVING_TIMEOUT_S:g} s")
        tallies[SERVICE] = fuzz_service(started.address, seed, count, seconds)
        if started.service is None or started.service.poll() is not None:
            tallies[SERVICE].fail(-1, "the service died")
        # The launcher starts it again, so that later calls tell nothing of it.
        if before is None or started.tritonserver != before:
            tallies[TRITON].fail(-1, "Triton died")
        started.stop_service()
        stop = started.stop_triton()
        if not stop.is_clean:
            tallies[TRITON].fail(-1, f"no clean stop: {stop.reason}")
    return tallies


def _publish(folder: Path) -> None:
    tiny = publish_tiny_version(folder / "model_repository")
    make_pair_run(folder / "pair_run")
    publish_pair_scorer(folder / "pair_run", tiny.repository, version=tiny.version)
