"""Publishing of a pair scorer: a version of its models is built aside, checked, moved into place.

Writes version N of `pair_features`, `pair_classifier` and `pair_scorer`, checks that it answers as
the trained scorer does, and only then moves it into place. One Triton serves one version number of
all its models: to serve the scorer beside an encoder, publish it as the encoder's version.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from twinshelf.export.configurations import check_batch_sizes, write_config
from twinshelf.export.encoder_models import MODELS as ENCODER_MODELS
from twinshelf.export.encoder_models import RECORD
from twinshelf.export.manifest import covered_digest, list_files
from twinshelf.export.pair_scorer_graph import classifier_graph
from twinshelf.export.pair_scorer_parity import check_pair_parity
from twinshelf.export.pair_scorer_repository import (
    CLASSIFIER_MODEL,
    FEATURE_NAMES,
    FEATURES_MODEL,
    GRAPH,
    MODELS,
    SCORER_MODEL,
    STATISTICS,
    pin_pair_config,
    read_pair_contract,
    vendor_features,
)
from twinshelf.export.record import read_record, trained_digest
from twinshelf.export.repository import (
    COMMITTED,
    CONFIG,
    committed_file,
    complete_committed_files,
    make_version_folders,
    move_into_place,
    staging,
    taken_versions,
    version_folder,
)
from twinshelf.server.encoders.published_version import PublishedVersion
from twinshelf.server.triton.repository import config_path, read_config
from twinshelf.training.files import reading
from twinshelf.training.pairs.probes import read_probes
from twinshelf.training.pairs.scorer import PairScorer

logger = logging.getLogger(__name__)

CONTRACT_VERSION = 3
SETTINGS = "pairs.json"
ENCODER = "encoder"  # the copy of an encoder's run that training leaves in a scorer's
MODEL_FILE = (FEATURES_MODEL, "model.py")


class PairScorerError(ValueError):
    """A pair scorer that cannot be published as asked; the message says what would help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairPublication:
    """What was published.

    Attributes:
        version: Version in the model repository.
        contract: Contract in the parameters of the ensemble.
        difference: Largest difference of two probabilities that the gate saw.
        is_new: Whether the version is new or another; the same one was written again, which
            repairs it and takes over new batching.
    """

    version: int
    contract: dict[str, Any]
    difference: float
    is_new: bool


def publish_pair_scorer(
    run: Path,
    repository: Path,
    *,
    version: int | None = None,
    replaces: bool = False,
    committed: Path = COMMITTED,
) -> PairPublication:
    """Publishes the trees of a scorer; the repository stays as it was when anything fails.

    Args:
        run: Folder that `make pairs` wrote.
        repository: Model repository; made when missing.
        version: Version to publish as, 1 or more; None takes the next free one, or the one that
            holds the same scorer.
        replaces: Whether another scorer of that version may be replaced.
        committed: The project's own model repository.

    Raises:
        PairScorerError: If the run is incomplete or damaged, or the version holds another scorer,
            or an encoder other than that which the scorer was trained with.
        RepositoryError: If a committed configuration is missing or broken, or does not fit others.
        PairParityError: If the version does not answer as the trained scorer does.
    """
    if version is not None and version < 1:
        raise PairScorerError(f"version must be 1 or more, got {version}")
    scorer, settings = _load(run)
    probes = read_probes(run)
    with staging(repository) as staged:
        # The number is decided once the digest is known: the same scorer keeps its own.
        _stage_files(scorer, run, staged, committed_file(repository, committed, *MODEL_FILE))
        contract = _contract(scorer, settings, covered_digest(staged, _digest_files(staged, 0)))
        held = _held_contracts(repository)
        number = version or _version_of(contract, held) or max([0, *held]) + 1
        _check_encoder(contract["encoder"], repository, number)
        is_new = held.get(number) != contract
        if is_new and held.get(number) is not None and not replaces:
            raise PairScorerError(
                f"version {number} of {repository} holds another pair scorer: publish this one as "
                "another version (--version), or replace that one (--force)"
            )
        for model in MODELS:
            (staged / model / "0").rename(version_folder(staged, model, number))
        configs = {
            model: read_config(committed_file(repository, committed, model, CONFIG))
            for model in MODELS
        }
        check_batch_sizes(configs)
        for model, config in configs.items():
            pinned = pin_pair_config(config, version=number, contract=contract)
            write_config(pinned, config_path(staged, model, number))
        published = PublishedVersion(staged, number, [SCORER_MODEL])
        difference = check_pair_parity(published, scorer, probes)
        _write_manifest(staged, number, warmup_from=[repository, committed])
        complete_committed_files(repository, committed, MODELS)
        move_into_place(staged, repository, MODELS, number)
    return PairPublication(version=number, contract=contract, difference=difference, is_new=is_new)


def _load(run: Path) -> tuple[PairScorer, dict[str, Any]]:
    try:
        scorer = PairScorer.load(run)
        with reading(run / SETTINGS) as path:
            settings = json.loads(path.read_text("utf-8"))
            return scorer, {
                "encoder": trained_digest(run / ENCODER) if settings["has_encoder"] else None,
                "neural_share": float(settings["neural_share"]),
                "validation": settings["validation"]["boosting"],
            }
    except (OSError, ValueError) as error:
        raise PairScorerError(
            f"{run} holds no whole pair scorer, train one with `make pairs`: {error}"
        ) from error


def _stage_files(scorer: PairScorer, run: Path, staged: Path, model_file: Path) -> None:
    make_version_folders(staged, MODELS, 0)
    folder = version_folder(staged, FEATURES_MODEL, 0)
    vendor_features(folder)
    shutil.copyfile(model_file, folder / "model.py")
    shutil.copyfile(run / STATISTICS, folder / STATISTICS)
    (folder / FEATURE_NAMES).write_text(json.dumps(scorer.feature_names) + "\n", "utf-8")
    graph = version_folder(staged, CLASSIFIER_MODEL, 0) / GRAPH
    graph.write_bytes(classifier_graph(scorer))


def _digest_files(staged: Path, version: int) -> list[Path]:
    """Returns the files that decide probabilities."""
    folder = version_folder(staged, FEATURES_MODEL, version)
    graph = version_folder(staged, CLASSIFIER_MODEL, version) / GRAPH
    return [*sorted(folder.rglob("*.py")), folder / FEATURE_NAMES, folder / STATISTICS, graph]


def _write_manifest(staged: Path, version: int, *, warmup_from: Sequence[Path]) -> None:
    covered = _digest_files(staged, version)
    manifest = list_files(staged, version, MODELS, covered, warmup_from=warmup_from)
    text = json.dumps(asdict(manifest), indent=2) + "\n"
    (version_folder(staged, SCORER_MODEL, version) / RECORD).write_text(text, "utf-8")


def _contract(scorer: PairScorer, settings: dict[str, Any], digest: str) -> dict[str, Any]:
    """Builds the contract; the trees are published, a cross-encoder beside them is not."""
    if settings["neural_share"] > 0:
        logger.warning(
            "only the trees are published: the cross-encoder, which has a share of %s in the "
            "trained scorer, is left out, and the threshold is that of the trees alone",
            settings["neural_share"],
        )
    return {
        "contract_version": CONTRACT_VERSION,
        "digest": digest,
        "feature_names": list(scorer.feature_names),
        "threshold": scorer.threshold,
        # Whose cosines it reads: of the encoder beside it, or of vectors that a service lacks.
        "has_encoder": settings["encoder"] is not None,
        "encoder": settings["encoder"],
        "neural_share": settings["neural_share"],
        "published_neural_share": 0.0,
        "validation": settings["validation"],
    }


def _check_encoder(trained_with: str | None, repository: Path, version: int) -> None:
    """Refuses a scorer beside an encoder that it was not trained with, whose cosines are others."""
    versions = taken_versions(repository, ENCODER_MODELS)
    if trained_with is None or version not in versions:
        return
    records = {number: read_record(repository, number) for number in versions}
    trained = {number: record.trained for number, record in records.items() if record}
    if version not in trained:
        logger.warning(
            "whether the scorer was trained with encoder version %d is not known, an older export "
            "published that: export its run again to have it checked",
            version,
        )
    elif trained[version] != trained_with:
        right = [number for number in versions if trained.get(number) == trained_with]
        raise PairScorerError(
            f"the scorer was trained with the cosines of another encoder than version {version} of "
            f"{repository}: "
            + (
                f"publish it as --version {right[-1]}, which is that one"
                if right
                else "publish that one, and the scorer as its --version; or train a scorer with "
                "the run of this one (--encoder-run)"
            )
        )


def _held_contracts(repository: Path) -> dict[int, dict[str, Any] | None]:
    """Returns the contract of each taken version; None where it cannot be read."""
    taken = taken_versions(repository, MODELS)
    return {version: read_pair_contract(repository, version) for version in taken}


def _version_of(contract: dict[str, Any], held: dict[int, dict[str, Any] | None]) -> int | None:
    return max((number for number, found in held.items() if found == contract), default=None)
