"""Which encoder versions a model repository holds, complete enough to be served.

A version N is a folder `<model>/N/` and a configuration `<model>/configs/vN.pbtxt` in each of its
models. Triton falls back to `config.pbtxt` without a word when the latter is missing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

ENCODERS: Final = ("product_encoder", "image_encoder", "text_encoder")
PAIR_SCORER: Final = "pair_scorer"
_PAIR_MODELS: Final = "pair_"  # how the models of a pair scorer are called
_CPU_INFO: Final = Path("/proc/cpuinfo")
_CONTRACT: Final = "twinshelf_contract"
_NEEDS_VNNI: Final = '"precision":"int8-vnni"'


class RepositoryError(ValueError):
    """A model repository, or a version of it, that cannot be served."""


def config_name(version: int) -> str:
    """Returns the name that a version's configurations have (`--model-config-name`)."""
    return f"v{version}"


def config_path(repository: Path, model: str, version: int) -> Path:
    """Returns where a version's configuration of a model lies."""
    return repository / model / "configs" / f"{config_name(version)}.pbtxt"


def publishing_command(model: str) -> str:
    """Returns the command that publishes versions of a model."""
    is_of_pairs = model.startswith(_PAIR_MODELS)
    return "python -m twinshelf.export" + ".pair_scorer" * is_of_pairs


def published_versions(repository: Path, models: tuple[str, ...] = ENCODERS) -> tuple[int, ...]:
    """Returns the versions that every one of the models has, rising.

    Raises:
        RepositoryError: If the folder or one of the models is not there.
    """
    if not repository.is_dir():
        raise RepositoryError(f"there is no model repository {repository}")
    found: set[int] | None = None
    for model in models:
        if not (repository / model).is_dir():
            raise RepositoryError(f"the model repository {repository} has no model {model!r}")
        versions = {
            int(path.name)
            for path in (repository / model).iterdir()
            if path.name.isdecimal() and config_path(repository, model, int(path.name)).is_file()
        }
        found = versions if found is None else found & versions
    return tuple(sorted(found or ()))


def served_models(repository: Path, version: int) -> tuple[str, ...]:
    """Returns what a version is served with: the encoders, and a pair scorer of that version."""
    has_scorer = config_path(repository, PAIR_SCORER, version).is_file()
    return (*ENCODERS, PAIR_SCORER) if has_scorer else ENCODERS


def newest_version(repository: Path, models: tuple[str, ...] = ENCODERS) -> int:
    """Returns the newest version that every one of the models has.

    Raises:
        RepositoryError: If the folder or one of the models is not there, or no version is.
    """
    versions = published_versions(repository, models)
    if not versions:
        raise RepositoryError(
            f"{repository} has no published version: run `python -m twinshelf.export`"
        )
    return versions[-1]


def has_vnni() -> bool:
    """Says whether this CPU adds products of eight bits without overflow, by AVX or AVX512 VNNI."""
    try:
        return "vnni" in _CPU_INFO.read_text("utf-8")
    except OSError:
        return False


def check_version(repository: Path, version: int, models: tuple[str, ...] = ENCODERS) -> None:
    """Checks that a version of the models, and of all that they are made of, is there.

    Raises:
        RepositoryError: Says what is missing, and which versions there are; or that this CPU would
            compute something else than what was published.
    """
    versions = published_versions(repository, models)
    if version not in versions:
        have = ", ".join(map(str, versions)) or "none"
        raise RepositoryError(
            f"{repository} has no version {version} of {', '.join(models)}; "
            f"published versions: {have}. `python -m twinshelf.export` publishes one"
        )
    for model in models:
        config = read_config(config_path(repository, model, version))
        if _NEEDS_VNNI in config.parameters[_CONTRACT].string_value and not has_vnni():
            raise RepositoryError(
                f"version {version} of {model} has int8 towers for CPUs with VNNI, which this one "
                "lacks: publish it with --precision int8, for any CPU"
            )
        for step in config.ensemble_scheduling.step:
            folder = repository / step.model_name / str(version)
            for path in (folder, config_path(repository, step.model_name, version)):
                if not path.exists():
                    raise RepositoryError(
                        f"version {version} of {model} is incomplete, {path} is missing: "
                        f"publish the version again with `{publishing_command(model)}`"
                    )


def models_with_steps(
    repository: Path, models: tuple[str, ...], version: int | None
) -> tuple[str, ...]:
    """Returns the models and all that their ensembles are made of, each once.

    Args:
        repository: Folder of models.
        models: Names of the models that are asked for.
        version: Version whose configurations are read; None reads the plain `config.pbtxt`.

    Raises:
        RepositoryError: If a configuration is missing or is none.
    """
    found: dict[str, None] = {}
    waiting = list(models)
    while waiting:
        name = waiting.pop(0)
        if name not in found:
            found[name] = None
            plain = repository / name / "config.pbtxt"
            path = plain if version is None else config_path(repository, name, version)
            waiting += [step.model_name for step in read_config(path).ensemble_scheduling.step]
    return tuple(found)


def read_config(path: Path) -> model_config_pb2.ModelConfig:
    """Returns a parsed model configuration.

    Raises:
        RepositoryError: If the file is not a Triton model configuration.
    """
    try:
        return text_format.Parse(path.read_text("utf-8"), model_config_pb2.ModelConfig())
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise RepositoryError(f"{path} is not a Triton model configuration: {error}") from error
