"""The configuration of a training run: YAML file and command line, typed and checked.

The parts have no slots: jsonargparse reads the defaults of nested dataclasses through `vars`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import yaml
from jsonargparse import ActionConfigFile, ArgumentError, ArgumentParser, Namespace

from twinshelf.server.command_line import check_ranges, refuse
from twinshelf.training.data.data_config import AugmentationConfig, DataConfig, SamplerConfig
from twinshelf.training.loop.loop_config import FinishingConfig, LoopConfig, OptimizerConfig
from twinshelf.training.losses.loss_config import LossConfig
from twinshelf.training.model.model_config import ModelConfig
from twinshelf.training.preprocessing.settings import PreprocessingSettings

PRESETS = Path(__file__).parent / "configs"
RECIPES = PRESETS / "recipes"  # what is minimised, to lay over a preset


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """All that a training run is told.

    Attributes:
        output: Folder of the run: weights, logs, metrics, and this configuration.
        resume: Whether to go on from the run's last epoch instead of starting anew.
        seed: Seed of every random choice.
        data: Prepared data and how it is fed.
        model: Backbones, heads and embedding.
        preprocessing: How photos and texts become tensors; published with the model.
        sampler: Shape of a training batch.
        augmentation: How training rows are varied.
        loss: What is minimised.
        optimizer: Learning rates and their schedule.
        loop: Epochs, devices, precision, stopping and loggers.
        finishing: What becomes of the weights once training is over.

    Raises:
        ValueError: If a value is out of range, here or in a part.
    """

    output: str = "runs/demo"
    resume: bool = False
    seed: Annotated[int, "0 or more"] = 42
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    preprocessing: PreprocessingSettings = field(default_factory=PreprocessingSettings)
    sampler: SamplerConfig = field(default_factory=SamplerConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)
    finishing: FinishingConfig = field(default_factory=FinishingConfig)

    def __post_init__(self) -> None:
        if not self.output:
            raise ValueError("output must name a folder")
        check_ranges(self)


def build_parser() -> ArgumentParser:
    """Returns the command line of training: `--config NAME_OR_FILE` and one option per value.

    It raises `ArgumentError`.
    """
    parser = ArgumentParser(
        prog="python -m twinshelf.training.train",
        usage="%(prog)s [options]",
        description="Train the two towers on prepared data (see training.catalogues.prepare).",
        allow_abbrev=False,
        exit_on_error=False,
    )
    parser.add_argument(
        "--config",
        action=_NamedConfigFile,
        help=f"a YAML file, a preset ({', '.join(named_files(PRESETS))}), or a recipe to lay over "
        f"one ({', '.join(named_files(RECIPES))}); may be given several times",
    )
    parser.add_class_arguments(TrainConfig, skip={"preprocessing", "resume"})
    parser.add_argument("--resume", action="store_true", help="go on from the last epoch")
    parser.add_class_arguments(PreprocessingSettings, "preprocessing")
    return parser


def named_files(folder: Path) -> dict[str, str]:
    """Returns the presets (`PRESETS`) or the recipes (`RECIPES`) of a folder, by name, sorted."""
    return {path.stem: str(path) for path in sorted(folder.glob("*.yaml"))}


def read_config(arguments: Sequence[str]) -> TrainConfig:
    """Reads the command line, later values over earlier ones.

    Raises:
        SystemExit: If a key is unknown or a value is of the wrong type or out of range; the
            message, on standard error, names it.
    """
    parser = build_parser()
    try:
        return _instantiated(parser, parser.parse_args(arguments))
    except (ArgumentError, ValueError) as error:
        refuse(error)


def config_to_yaml(config: TrainConfig) -> str:
    """Returns the whole configuration as YAML that `--config` reads."""
    plain = json.loads(json.dumps(asdict(config)))  # YAML has no tuples
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)


def config_from_yaml(text: str) -> TrainConfig:
    """Reads what `config_to_yaml` wrote.

    Raises:
        ValueError: If a key is unknown or a value is of the wrong type or out of range.
    """
    parser = build_parser()
    try:
        return _instantiated(parser, parser.parse_string(text))
    except ArgumentError as error:
        raise ValueError(
            f"config.yaml of the run is none of this version of Twinshelf: {error}; "
            "train again, or change it as CHANGELOG.md says"
        ) from error


def _instantiated(parser: ArgumentParser, namespace: Namespace) -> TrainConfig:
    values = parser.instantiate(namespace).as_dict()
    values.pop("config", None)
    return TrainConfig(**values)


class _NamedConfigFile(ActionConfigFile):
    """Takes a file, or the name of a preset or a recipe."""

    @staticmethod
    def apply_config(parser: ArgumentParser, cfg: Namespace, dest: str, value: str) -> None:
        """Lays a file over what was given before it."""
        files = named_files(RECIPES) | named_files(PRESETS)
        ActionConfigFile.apply_config(parser, cfg, dest, files.get(value, value))
