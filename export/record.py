"""What a version remembers of its publication, so that publishing the same again costs nothing.

No torch here: an unchanged version is recognised before the towers are even imported.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Self

from twinshelf.export.encoder_models import MODELS, record_path
from twinshelf.export.manifest import list_files
from twinshelf.export.precision import TRAINING_TABLE, Precision, list_calibration_photos
from twinshelf.export.repository import (
    CONFIG,
    committed_file,
    is_complete,
    taken_versions,
)
from twinshelf.server.triton.manifest import file_digest
from twinshelf.training import preprocessing
from twinshelf.training.config import config_from_yaml
from twinshelf.training.files import Step

# Files of a run that end up in a version; both calibrations may be missing.
RUN_CONFIG = "config.yaml"
RUN_FILES = (
    RUN_CONFIG,
    "preprocessing.json",
    "text_backbone.json",
    "tokenizer.json",
    "weights.safetensors",
)
CALIBRATION = "calibration.json"
CATEGORIES = "categories/category/categories.json"
COMMITTED_FILES = (CONFIG, "model.py")


class RunError(ValueError):
    """A run that cannot be published; the message says what it lacks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicationRecord:
    """The record in the version folder of `product_encoder`.

    Attributes:
        digest: Digest of the encoder, "sha256:" and 64 hex digits.
        source: SHA-256 of all that the version was made from, 64 hex digits.
        trained: `trained_digest` of the run, whatever the precision.
        row_count: Rows that the parity gate embedded both ways.
        precision: Number format of the towers.
        embedding_difference: Largest difference that it saw.
        mean_cosine: Mean cosine that it saw of published to trained embeddings.
        least_cosine: Least of them.
        metrics: Retrieval metrics that it saw, of torch and of the version, by name.
        files: Path of every file of the version but this one, below the repository, to its SHA-256.
        digest_files: Those of them that the digest covers.
    """

    digest: str
    source: str
    trained: str
    precision: Precision
    row_count: int
    embedding_difference: float
    mean_cosine: float
    least_cosine: float
    metrics: dict[str, tuple[float, float]]
    files: dict[str, str]
    digest_files: tuple[str, ...]

    def to_json(self) -> str:
        """Returns the record as a JSON object."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads what `to_json` wrote.

        Raises:
            ValueError: If it is no such record.
        """
        try:
            values = json.loads(text)
            metrics = {name: (pair[0], pair[1]) for name, pair in values["metrics"].items()}
            known = {field.name: values[field.name] for field in fields(cls)}
            covered = tuple(values["digest_files"])
            return cls(**(known | {"metrics": metrics, "digest_files": covered}))
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            raise ValueError(f"not a record of a publication: {error!r}") from error


def find_unchanged(
    repository: Path, version: int | None, source: str
) -> tuple[int, PublicationRecord] | None:
    """Finds a whole and undamaged version that was made from the same sources.

    Args:
        repository: Model repository.
        version: The version to look at; None looks at all, the newest first.
        source: From `source_digest`.

    Returns:
        The version and its record; None when there is none.
    """
    versions = taken_versions(repository, MODELS)[::-1] if version is None else [version]
    for candidate in versions:
        record = read_record(repository, candidate)
        if record is None or record.source != source:
            continue
        if not is_complete(repository, MODELS, candidate):
            continue
        found = list_files(repository, candidate, MODELS, (), warmup_from=[repository])
        if record.files == found.files:
            return candidate, record
    return None


def read_record(repository: Path, version: int) -> PublicationRecord | None:
    """Reads the record of a version; None when it has none that can be read."""
    try:
        return PublicationRecord.from_json(record_path(repository, version).read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return None


def trained_digest(run: Path) -> str:
    """Computes the digest of a trained encoder, equal for each copy of its run.

    Its config.yaml does not count: it tells where data and results lie, too.

    Args:
        run: Folder of the run.

    Returns:
        64 hex digits.

    Raises:
        FileNotFoundError: If the run lacks a file.
    """
    lines = [f"{name} {file_digest(run / name)}" for name in RUN_FILES if name != RUN_CONFIG]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def source_digest(
    run: Path, repository: Path, committed: Path, precision: Precision = "fp32"
) -> str:
    """Computes SHA-256 of all that a version is made from: the run, the code, the libraries.

    For int8 the photos count that it is measured on.

    Args:
        run: Folder of the run.
        repository: Model repository to publish into; its committed files count where it has them.
        committed: The project's own model repository.
        precision: Number format of the towers.

    Returns:
        64 hex digits.

    Raises:
        RunError: If the run lacks a file.
    """
    if not run.is_dir():
        raise RunError(
            f"there is no run {run}; train one with `python -m twinshelf.training.train`"
        )
    for name in RUN_FILES:
        if not (run / name).is_file():
            raise RunError(f"the run {run} has no {name}: has its training finished?")
    inputs = [run / name for name in RUN_FILES]
    inputs += [path for name in (CALIBRATION, CATEGORIES) if (path := run / name).is_file()]
    # The sources are copied into the version as they stand, comments included.
    inputs.append(Path(preprocessing.__file__).parent)
    for model in MODELS:
        paths = [committed_file(repository, committed, model, name) for name in COMMITTED_FILES]
        inputs += [path for path in paths if path.is_file()]
    if precision in ("int8", "int8-vnni"):
        data = config_from_yaml((run / RUN_CONFIG).read_text("utf-8")).data.folder
        table = Path(data) / TRAINING_TABLE
        inputs += [table] * table.is_file() + list_calibration_photos(table)
    # Named by its module and not imported: it takes seconds, and an unchanged version needs none.
    module = "twinshelf.export.publishing"
    step = Step(name="export", module=module, options=(precision,), inputs=tuple(inputs))
    return step.digest()
