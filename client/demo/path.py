"""The whole path: prepare, train, evaluate, export, Triton, serve, index, match."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Console

from client.demo import plan as plans
from client.demo.held_out import PATTERNS, MatchedOffer, match_held_out, read_held_out
from client.demo.plan import DemoPlan
from client.demo.services import RunningServices, matching_service, triton_service
from client.demo.stamps import Stamp, read_stamp
from client.demo.steps import DemoError, Step, StepRunner, timed
from client.sync_client import TwinshelfClient

SAMPLE_SEED = 42
PUBLISHED = re.compile(r"version (\d+) of .*encoder (sha256:[0-9a-f]{64})")


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedEncoder:
    """What the export step published.

    Attributes:
        version: In the model repository.
        digest: "sha256:" and 64 hex digits.
    """

    version: str
    digest: str


def make_encoder(plan: DemoPlan, runner: StepRunner) -> PublishedEncoder:
    """Prepares the data, trains, evaluates and publishes.

    Args:
        plan: What to do.
        runner: Runs the steps.

    Raises:
        DemoError: If a step fails.
    """
    prepared = runner.run(plans.prepare_step(plan))
    trained = runner.run(plans.train_step(plan, prepared.digest))
    evaluated = runner.run(plans.evaluate_step(plan, trained.digest))
    last = read_stamp(runner.stamp_path("export"))
    last_version = last.facts.get("version") if last else None
    folder = plan.repository / "product_encoder" / last_version if last_version else None
    exported = runner.run(plans.export_step(plan, evaluated.digest, folder), _read_published)
    return _encoder_of(exported)


def serve_and_match(
    plan: DemoPlan, runner: StepRunner, encoder: PublishedEncoder, console: Console
) -> Mapping[str, tuple[MatchedOffer, ...]]:
    """Starts Triton and the matching service, stores the gallery, matches held-out offers.

    Both services have stopped when it returns or raises.

    Args:
        plan: What to do.
        runner: Runs the steps.
        encoder: What to serve.
        console: Shows the progress.

    Returns:
        Matched offers by modality; none where no offer has what the modality needs.

    Raises:
        DemoError: If a step fails.
        ProductFileError: If the prepared data cannot be read.
        TwinshelfError: If the service fails as a whole.
    """
    held_out = read_held_out(plan.prepared, query_count=plan.query_count, seed=SAMPLE_SEED)
    triton, triton_address = triton_service(plan.repository, encoder.version, plan.run)
    service, address = matching_service(triton_address, plan.catalogue)
    index = plans.index_step(plan, address, encoder.digest)
    if not runner.is_unchanged(index):
        _forget_catalogue(plan, runner, index)
    with RunningServices(plan.run, console) as services:
        services.start(triton)
        services.start(service)
        runner.run(index)
        with TwinshelfClient(address) as client, timed("match", console):
            return {pattern: match_held_out(client, held_out, pattern) for pattern in PATTERNS}


def _forget_catalogue(plan: DemoPlan, runner: StepRunner, index: Step) -> None:
    """Starts the catalogue anew: what an older gallery had must not be found."""
    runner.stamp_path(index.name).unlink(missing_ok=True)
    if plan.catalogue.is_dir():
        shutil.rmtree(plan.catalogue)


def _read_published(output: str) -> dict[str, str]:
    found = PUBLISHED.search(output)
    if found is None:
        raise DemoError("the export did not say which version it published")
    return {"version": found.group(1), "digest": found.group(2)}


def _encoder_of(stamp: Stamp) -> PublishedEncoder:
    return PublishedEncoder(version=stamp.facts["version"], digest=stamp.facts["digest"])
