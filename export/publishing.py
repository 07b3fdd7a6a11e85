"""Publishing: a trained encoder becomes a version of the model repository, past the gate."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from twinshelf.export.configurations import (
    EncoderShape,
    check_batch_sizes,
    is_ensemble,
    pin_config,
    stamp_contract,
    stamped_contract,
    write_config,
)
from twinshelf.export.contract import build_contract, contract_to_json
from twinshelf.export.encoder_models import (
    ENSEMBLES,
    MODELS,
    PREPROCESSORS,
    PRODUCT_ENCODER,
    record_path,
)
from twinshelf.export.manifest import covered_digest, digest_files, list_files
from twinshelf.export.pair_scorer_repository import read_pair_contract
from twinshelf.export.parity import ParityComparison, compare_probes
from twinshelf.export.precision import BOUNDS, Precision
from twinshelf.export.quantization import (
    halve_graph,
    quantize_image_graph,
    quantize_text_graph,
    read_calibration_pixels,
)
from twinshelf.export.record import (
    CATEGORIES,
    PublicationRecord,
    RunError,
    source_digest,
    trained_digest,
)
from twinshelf.export.reference import TorchReference
from twinshelf.export.repository import (
    CONFIG,
    committed_file,
    complete_committed_files,
    copy_sources,
    is_complete,
    make_version_folders,
    move_into_place,
    staging,
    taken_versions,
    version_folder,
)
from twinshelf.export.retrieval_parity import MetricPair, compare_retrieval, read_sample
from twinshelf.export.towers import fusion_graph, image_tower_graph, text_tower_graph
from twinshelf.server.encoders.published_version import PublishedVersion
from twinshelf.server.triton.repository import (
    RepositoryError,
    config_path,
    has_vnni,
    read_config,
)
from twinshelf.training import preprocessing
from twinshelf.training.categories.category_results import Choice, read_choices
from twinshelf.training.checkpoint import TrainedEncoder, load_encoder

logger = logging.getLogger(__name__)

SOURCES = Path(preprocessing.__file__).parent


class PublishError(ValueError):
    """A version that may not be published as asked; the message says what would help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishRequest:
    """What is to be published, and where.

    Attributes:
        run: Folder of the run.
        repository: Model repository; made when missing.
        committed: The project's own model repository, with the committed configurations.
        version: Version to publish as, 1 or more; None takes the next free one.
        precision: Number format of the towers.
        replaces: Whether another encoder of that version may be replaced.
        allows_uncalibrated: Whether a run without calibration may be published.

    Raises:
        ValueError: If the version is below 1.
    """

    run: Path
    repository: Path
    committed: Path
    version: int | None = None
    precision: Precision = "fp32"
    replaces: bool = False
    allows_uncalibrated: bool = False

    def __post_init__(self) -> None:
        """Checks the version."""
        if self.version is not None and self.version < 1:
            raise ValueError(f"version must be 1 or more, got {self.version}")

    def committed_file(self, model: str, name: str) -> Path:
        """Returns a committed file of a model: the repository's own where it has one."""
        return committed_file(self.repository, self.committed, model, name)


def publish(request: PublishRequest) -> tuple[int, PublicationRecord]:
    """Publishes a run; the repository stays as it was when anything fails.

    Returns:
        The version and its record.

    Raises:
        RunError: If the run lacks something.
        PublishError: If the version holds another encoder, or a pair scorer that was trained with
            another, and `replaces` is not set; or if this CPU would not serve it.
        GraphError: If a tower cannot be exported.
        CalibrationDataError: If int8 is asked for and there are no photos to calibrate with.
        RepositoryError: If a committed configuration is missing or broken, or does not fit others.
        ParityError: If the version does not do what the trained encoder does.
    """
    if request.precision == "int8-vnni" and not has_vnni():
        raise PublishError(
            "int8-vnni is for CPUs with VNNI, which this one lacks: publish with --precision int8, "
            "for any CPU, or on a CPU with VNNI"
        )
    repository = request.repository
    encoder = _load(request)
    source = source_digest(request.run, repository, request.committed, request.precision)
    with staging(repository) as staged:
        taken = taken_versions(repository, MODELS)
        version = request.version or max(taken, default=0) + 1
        _check_pair_scorer(request, version)
        _stage_files(encoder, staged, request, version)
        digest = covered_digest(staged, digest_files(staged, version))
        contract = _stage_configs(encoder, staged, request, version, digest)
        if version in taken and not request.replaces:
            _check_same_encoder(repository, version, contract)
        record = _pass_gate(encoder, staged, request, version, digest=digest, source=source)
        record_path(staged, version).write_text(record.to_json(), "utf-8")
        complete_committed_files(repository, request.committed, MODELS)
        move_into_place(staged, repository, MODELS, version)
    return version, record


def _load(request: PublishRequest) -> TrainedEncoder:
    try:
        encoder = load_encoder(request.run)
    except (OSError, ValueError) as error:
        raise RunError(f"the run {request.run} cannot be loaded: {error}") from error
    if encoder.calibration is None and not request.allows_uncalibrated:
        raise RunError(
            f"the run {request.run} has no calibration, so its probabilities would mean nothing: "
            "run `python -m twinshelf.training.evaluation` first, or publish with --uncalibrated"
        )
    return encoder


def _read_category_votes(run: Path) -> Mapping[str, Choice]:
    path = run / CATEGORIES
    if not path.is_file():
        logger.warning("categories of %s are not calibrated: `make categories` does it", run)
        return {}
    try:
        _, choices = read_choices(path.parent, "category")
    except ValueError as error:
        raise RunError(f"{error}: run `make categories` again, or remove it") from error
    return {pattern: methods["knn"] for pattern, methods in choices.items()}


def _stage_files(
    encoder: TrainedEncoder, staged: Path, request: PublishRequest, version: int
) -> None:
    settings = encoder.settings
    make_version_folders(staged, MODELS, version)
    for name in PREPROCESSORS:
        folder = version_folder(staged, name, version)
        names = sorted(source.name for source in SOURCES.glob("*.py"))
        copy_sources(names, SOURCES, folder / "preprocessing")
        shutil.copyfile(request.committed_file(name, "model.py"), folder / "model.py")
        (folder / "settings.json").write_text(settings.to_json() + "\n", "utf-8")
    tokenizer = version_folder(staged, "text_preprocess", version) / "tokenizer.json"
    shutil.copyfile(encoder.tokenizer_path, tokenizer)
    logger.info("exporting the towers to ONNX")
    for name, graph in _graphs(encoder, request.precision).items():
        (version_folder(staged, name, version) / "model.onnx").write_bytes(graph)


def _graphs(encoder: TrainedEncoder, precision: Precision) -> dict[str, bytes]:
    """Returns the graph of each model; the fusion, of one product, is float32 always."""
    model, settings = encoder.model, encoder.settings
    image = image_tower_graph(model.image_tower, settings.image_size_px)
    text = text_tower_graph(model.text_tower, settings.token_buckets[-1])
    if precision in ("int8", "int8-vnni"):
        pixels = read_calibration_pixels(Path(encoder.config.data.folder), settings)
        logger.info("quantising the towers with %d photos", len(pixels))
        needs_vnni = precision == "int8-vnni"
        image = quantize_image_graph(image, pixels, needs_vnni=needs_vnni)
        text = quantize_text_graph(text, needs_vnni=needs_vnni)
    elif precision == "fp16":
        image, text = halve_graph(image), halve_graph(text)
    dims = model.image_tower.embedding_dim, model.text_tower.embedding_dim
    return {"image_tower": image, "text_tower": text, "fusion": fusion_graph(model.fusion, *dims)}


def _stage_configs(
    encoder: TrainedEncoder, staged: Path, request: PublishRequest, version: int, digest: str
) -> str:
    """Writes the configurations; returns the contract that the ensembles hold."""
    shape = EncoderShape(
        image_size_px=encoder.settings.image_size_px,
        token_buckets=encoder.settings.token_buckets,
        image_dim=encoder.model.image_tower.embedding_dim,
        text_dim=encoder.model.text_tower.embedding_dim,
    )
    committed = {name: read_config(request.committed_file(name, CONFIG)) for name in MODELS}
    check_batch_sizes(committed)
    max_batch_size = min(config.max_batch_size for config in committed.values())
    contract = contract_to_json(
        build_contract(
            encoder,
            version=version,
            digest=digest,
            max_batch_size=max_batch_size,
            precision=request.precision,
            category_votes=_read_category_votes(request.run),
        )
    )
    for name, config in committed.items():
        pinned = pin_config(config, version=version, shape=shape)
        if is_ensemble(pinned):
            stamp_contract(pinned, contract)
        write_config(pinned, config_path(staged, name, version))
    return contract


def _check_pair_scorer(request: PublishRequest, version: int) -> None:
    """Refuses an encoder beside a pair scorer that was trained with the cosines of another one."""
    contract = read_pair_contract(request.repository, version) or {}
    if contract.get("encoder") in (None, trained_digest(request.run)):
        return
    told = (
        f"the pair scorer of version {version} of {request.repository} was trained with the "
        "cosines of another encoder"
    )
    if not request.replaces:
        raise PublishError(
            f"{told}: publish this one as another version (--version), or all the same (--force), "
            "and then a scorer that was trained with it"
        )
    logger.warning("%s: publish one that was trained with this encoder", told)


def _check_same_encoder(repository: Path, version: int, contract: str) -> None:
    """Lets a version be written again when its answers stay the same: new batching, a repair."""
    if not is_complete(repository, MODELS, version):
        return
    try:
        config = read_config(config_path(repository, PRODUCT_ENCODER, version))
    except RepositoryError:
        return
    found = stamped_contract(config)
    if found is None or found == contract:
        return
    theirs, ours = (json.loads(text).get("digest") for text in (found, contract))
    what = "the same encoder with another contract" if theirs == ours else f"encoder {theirs}"
    raise PublishError(
        f"version {version} of {repository} holds {what}, this run is {ours}: publish it as "
        "another version (--version), or replace that one (--force)"
    )


@contextmanager
def _one_torch_thread() -> Iterator[None]:
    """Embeds rows by ones and threes: threads that wait for each other triple the time."""
    thread_count = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(thread_count)


def _pass_gate(
    encoder: TrainedEncoder,
    staged: Path,
    request: PublishRequest,
    version: int,
    *,
    digest: str,
    source: str,
) -> PublicationRecord:
    comparison = ParityComparison(
        TorchReference(encoder),
        PublishedVersion(staged, version, ENSEMBLES),
        BOUNDS[request.precision],
    )
    logger.info("comparing raw photos and texts through torch and through the exported version")
    with _one_torch_thread():
        compare_probes(comparison)
    metrics: tuple[MetricPair, ...] = ()
    data = Path(encoder.config.data.folder)
    sample = read_sample(data)
    if sample is None:
        logger.warning("retrieval is not compared: %s holds no labelled queries", data)
    else:
        logger.info(
            "comparing retrieval of %d queries in %d products",
            len(sample.queries),
            len(sample.gallery),
        )
        metrics = compare_retrieval(comparison, sample, encoder)
    report = comparison.report()
    covered = digest_files(staged, version)
    warmup_from = [request.repository, request.committed]
    manifest = list_files(staged, version, MODELS, covered, warmup_from=warmup_from)
    return PublicationRecord(
        digest=digest,
        source=source,
        trained=trained_digest(request.run),
        precision=request.precision,
        row_count=report.row_count,
        embedding_difference=report.embedding_difference,
        mean_cosine=report.mean_cosine,
        least_cosine=report.least_cosine,
        metrics={pair.name: (pair.in_torch, pair.as_published) for pair in metrics},
        files=dict(manifest.files),
        digest_files=manifest.digest_files,
    )
