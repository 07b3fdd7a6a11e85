"""A trained encoder in its folder: weights, preprocessing, tokenizer, settings, calibration."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import PretrainedConfig

from twinshelf.training.config import TrainConfig, config_from_yaml, config_to_yaml
from twinshelf.training.files import atomic_write, write_atomically
from twinshelf.training.model.encoder import FusedEncoder, build_encoder
from twinshelf.training.model.text_backbone import load_architecture
from twinshelf.training.preprocessing.settings import PreprocessingSettings
from twinshelf.training.preprocessing.tokens import TextTokenizer
from twinshelf.training.retrieval.calibration import Calibration

WEIGHTS = "weights.safetensors"
CONFIG = "config.yaml"
PREPROCESSING = "preprocessing.json"
TOKENIZER = "tokenizer.json"
ARCHITECTURE = "text_backbone.json"
CALIBRATION = "calibration.json"
# What an encoder cannot be loaded without.
RUN_FILES = (CONFIG, PREPROCESSING, ARCHITECTURE, TOKENIZER, WEIGHTS)
# What was found with some weights, and does not hold for others.
RESULTS = (CALIBRATION, "evaluation.json", "judgements.json", "plots", "evaluations", "categories")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedEncoder:
    """A trained encoder, ready to embed.

    Attributes:
        model: Both towers and their fusion, in evaluation mode, on the CPU.
        settings: How photos and texts become its tensors.
        tokenizer: Texts to token ids.
        config: What it was trained with.
        tokenizer_path: File of the tokenizer, to be published.
        calibration: Scores to probabilities; None until `make evaluate` has fitted it.
    """

    model: FusedEncoder
    settings: PreprocessingSettings
    tokenizer: TextTokenizer
    config: TrainConfig
    tokenizer_path: Path
    calibration: Calibration | None


def save_inputs(
    folder: Path, *, config: TrainConfig, tokenizer: Tokenizer, architecture: PretrainedConfig
) -> None:
    """Writes what a run fixes before its first step, so that it can be resumed.

    Args:
        folder: Folder of the run; made when missing.
        config: The resolved configuration.
        tokenizer: The text backbone's own, or the one learnt for it.
        architecture: The text backbone's.
    """
    write_atomically(folder / CONFIG, config_to_yaml(config))
    write_atomically(folder / PREPROCESSING, config.preprocessing.to_json() + "\n")
    write_atomically(folder / ARCHITECTURE, architecture.to_json_string(use_diff=False))
    write_atomically(folder / TOKENIZER, tokenizer.to_str(pretty=True))


def load_inputs(folder: Path) -> tuple[Tokenizer, PretrainedConfig]:
    """Reads back the tokenizer and the architecture that `save_inputs` wrote.

    Raises:
        FileNotFoundError: If one of them is missing.
    """
    for name in (TOKENIZER, ARCHITECTURE):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"no {name} in {folder}")
    architecture = load_architecture(str(folder / ARCHITECTURE))
    return Tokenizer.from_file(str(folder / TOKENIZER)), architecture


def save_weights(folder: Path, model: FusedEncoder) -> None:
    """Completes what `save_inputs` began: `load_encoder` then gives the same embeddings.

    What was found with older weights no longer holds, and is removed.
    """
    weights = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    with atomic_write(folder / WEIGHTS) as partial:
        save_file(weights, partial)
    remove(folder, RESULTS)


def remove(folder: Path, names: Iterable[str]) -> None:
    """Removes files and folders of a run, those that are there."""
    for path in (folder / name for name in names):
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)


def load_encoder(folder: Path) -> TrainedEncoder:
    """Loads what `save_inputs` and `save_weights` wrote; nothing is downloaded.

    Raises:
        FileNotFoundError: If a file of the run is missing.
        ValueError: If a file does not fit the others.
    """
    folder = Path(folder)
    for name in RUN_FILES:
        if not (folder / name).is_file():
            raise FileNotFoundError(f"no {name} in {folder}: has training finished there?")
    config = config_from_yaml((folder / CONFIG).read_text())
    settings = PreprocessingSettings.from_json((folder / PREPROCESSING).read_text())
    model = build_encoder(
        config.model,
        image_size_px=settings.image_size_px,
        architecture=load_architecture(str(folder / ARCHITECTURE)),
        with_weights=False,
    )
    try:
        model.load_state_dict(load_file(folder / WEIGHTS))
    except (RuntimeError, SafetensorError) as error:
        raise ValueError(f"{folder / WEIGHTS} does not fit {folder / CONFIG}: {error}") from error
    calibration = folder / CALIBRATION
    return TrainedEncoder(
        model=model.eval(),
        settings=settings,
        tokenizer=TextTokenizer(folder / TOKENIZER, settings),
        config=config,
        tokenizer_path=folder / TOKENIZER,
        calibration=(
            Calibration.from_json(calibration.read_text()) if calibration.exists() else None
        ),
    )
