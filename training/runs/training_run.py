"""One training run: what is learnt before the first step, the fit, and what is saved after it."""

from __future__ import annotations

import copy
import logging
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import lightning as L
import numpy as np
import torch
from tokenizers import Tokenizer
from torch.utils.data import DataLoader
from transformers import PretrainedConfig

from twinshelf.training.catalogues.mapped_products import MappedProducts
from twinshelf.training.catalogues.product import Product
from twinshelf.training.checkpoint import (
    CONFIG,
    RESULTS,
    TOKENIZER,
    WEIGHTS,
    load_inputs,
    remove,
    save_inputs,
    save_weights,
)
from twinshelf.training.config import TrainConfig
from twinshelf.training.data.data_module import Batch, ProductDataModule, Row
from twinshelf.training.data.token_buckets import fit_buckets
from twinshelf.training.data.training_data import TrainingData, load_training_data, text_fields
from twinshelf.training.files import write_json
from twinshelf.training.loop.finishing import finish_image_tower
from twinshelf.training.loop.module import EncoderModule, warn_of_folded_norms
from twinshelf.training.loop.trainer import (
    BEST,
    LAST,
    build_loggers,
    build_trainer,
    keep_freed_memory,
)
from twinshelf.training.loop.validation import EmbeddedRows, evaluate_patterns, join_rows
from twinshelf.training.losses.metric_losses import check_terms
from twinshelf.training.model.encoder import build_encoder
from twinshelf.training.model.text_backbone import (
    load_architecture,
    load_pretrained_tokenizer,
    scratch_architecture,
)
from twinshelf.training.model.wordpiece import train_wordpiece
from twinshelf.training.preprocessing.settings import PreprocessingSettings
from twinshelf.training.preprocessing.texts import join_fields, normalise_text
from twinshelf.training.preprocessing.tokens import TextTokenizer
from twinshelf.training.retrieval.metrics import RankingScores
from twinshelf.training.runs.tracking import (
    Outcome,
    TrackedRun,
    begin_tracking,
    check_loggers,
    track_outcome,
)

METRICS = "metrics.json"
# Enough to learn words and directions from, and few enough for memory, whatever the data's size.
MOST_VOCABULARY_ROWS = 1_000_000
MOST_FINISHING_ROWS = 100_000
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSummary:
    """What a run came to, on its validation offers.

    Attributes:
        recall_at_1: Share of offers whose first hit is right, by image, text and both; a
            kind is absent where no validation offer shows it.
        mean_average_precision: The same kinds, over the whole ranking.
        fusion_weight: w, the weight of the image.
        epoch_count: Epochs trained.
        train_count: Rows trained on.
        validation_count: Validation offers.
        gallery_count: Catalogue products searched.
        duration_s: Seconds of the fit, this time.
    """

    recall_at_1: dict[str, float]
    mean_average_precision: dict[str, float]
    fusion_weight: float
    epoch_count: int
    train_count: int
    validation_count: int
    gallery_count: int
    duration_s: float


def train(config: TrainConfig) -> TrainingSummary:
    """Trains an encoder and saves it in `config.output`.

    Raises:
        FileNotFoundError: If prepared data, weights, or the run to resume are missing.
        OSError: If MLflow cannot be reached or refuses.
        ValueError: If the model or a loss cannot be built, the data cannot be learnt from, or the
            run to resume is of another model. What cannot be begun leaves an earlier run as it was.
    """
    check_terms(config.loss.terms)
    folder = Path(config.output)
    last = folder / LAST if config.resume else None
    if last and not last.is_file():
        raise FileNotFoundError(f"nothing to resume: no {LAST} in {folder}")
    L.seed_everything(config.seed, workers=True)
    data = load_training_data(config.data, config.seed)
    products = data.train.products
    tokenizer, architecture = load_inputs(folder) if last else prepare_text(config, products)
    fitted = _fit_buckets(config, tokenizer, products)
    config = replace(config, preprocessing=fitted, resume=False)
    module = _assemble(config, architecture, data.group_count)
    first_epoch = _check_resumed(last, module) if last else 0
    trainer = build_trainer(
        config.loop,
        folder=folder,
        gradient_clip=config.optimizer.gradient_clip,
        with_validation=bool(data.validation),
    )
    tracked = TrackedRun(folder=folder, loggers=config.loop.loggers)
    check_loggers(tracked)
    # Weights of an earlier training would pass for those of this one.
    if last is None and trainer.is_global_zero:
        remove(folder, (WEIGHTS, METRICS, BEST, LAST, *RESULTS))
    save_inputs(folder, config=config, tokenizer=tokenizer, architecture=architecture)
    begin_tracking(tracked, is_resumed=last is not None)
    trainer.loggers = build_loggers(config.loop, folder)
    loaders = _feed(config, data, folder, first_epoch)
    if trainer.strategy.root_device.type == "cpu":
        keep_freed_memory()
    tower = module.model.image_tower
    is_pretrained = config.model.image.pretrained or config.model.image.weights is not None
    if is_pretrained and last is None:
        warn_of_folded_norms(module.model, config.optimizer)
    start = copy.deepcopy(tower.backbone.state_dict()) if is_pretrained else None
    start_s = time.perf_counter()
    trainer.fit(module, loaders, ckpt_path=last)
    duration_s = time.perf_counter() - start_s
    module.load_state_dict(torch.load(folder / BEST, map_location="cpu")["state_dict"])
    module.to(trainer.strategy.root_device)  # the trainer takes it off as it ends
    photos = loaders.embedding_loader(data.train.some_groups(MOST_FINISHING_ROWS))
    finish_image_tower(tower, config.finishing, start=start, photos=photos)
    summary = _evaluate(module, loaders, data, trainer, duration_s)
    if trainer.is_global_zero:
        save_weights(folder, module.model)
        write_json(folder / METRICS, summary)
        track_outcome(tracked, Outcome(name="training", results=folder / METRICS))
    return summary


def _fit_buckets(
    config: TrainConfig, tokenizer: Tokenizer, products: Sequence[Product]
) -> PreprocessingSettings:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / TOKENIZER
        tokenizer.save(str(path))
        return fit_buckets(config.preprocessing, path, products)


def _check_resumed(last: Path, module: EncoderModule) -> int:
    """Makes sure that the weights of a run fit the model; returns the epoch that comes next."""
    checkpoint = torch.load(last, map_location="cpu", mmap=True)
    found, ours = checkpoint["state_dict"], module.state_dict()
    names = [*found, *(name for name in ours if name not in found)]
    strange = [
        name
        for name in names
        if name not in found or name not in ours or found[name].shape != ours[name].shape
    ]
    if strange:
        raise ValueError(
            f"{last} is of another model or other data ({len(strange)} of {len(names)} weights, "
            f"first {strange[0]}): resume it with the options that it began with, such as "
            f"--config {last.with_name(CONFIG)}"
        )
    return int(checkpoint["epoch"]) + 1  # it was written at the end of that one


def _feed(
    config: TrainConfig, data: TrainingData, folder: Path, first_epoch: int
) -> ProductDataModule:
    loaders = ProductDataModule(
        data,
        config.data,
        config.preprocessing,
        TextTokenizer(folder / TOKENIZER, config.preprocessing),
        sampler=config.sampler,
        augmentation=config.augmentation,
        seed=config.seed,
        first_epoch=first_epoch,
    )
    logger.info(
        "%d rows of %d groups to train on, %d validation offers, %d catalogue products",
        len(data.train),
        data.group_count,
        len(data.validation),
        len(data.gallery),
    )
    return loaders


def _assemble(
    config: TrainConfig, architecture: PretrainedConfig, group_count: int
) -> EncoderModule:
    model = build_encoder(
        config.model,
        image_size_px=config.preprocessing.image_size_px,
        architecture=architecture,
    )
    # Convolutions on a CPU, and on tensor cores, are a third faster with the channels last.
    model.image_tower.to(memory_format=torch.channels_last)
    return EncoderModule(
        model,
        loss=config.loss,
        optimizer=config.optimizer,
        group_count=group_count,
        seed=config.seed,
    )


def prepare_text(
    config: TrainConfig, products: MappedProducts
) -> tuple[Tokenizer, PretrainedConfig]:
    """Returns the tokenizer and the architecture of the text backbone.

    Args:
        config: A pretrained backbone brings its own; else a vocabulary is learnt.
        products: Rows to learn it from.

    Raises:
        ValueError: If a pretrained backbone reads fewer tokens than the last bucket holds.
    """
    text, buckets = config.model.text, config.preprocessing.token_buckets
    if text.name:
        architecture = load_architecture(text.name)
        longest = getattr(architecture, "max_position_embeddings", None)
        if longest is not None and longest < buckets[-1]:
            raise ValueError(
                f"{text.name} reads {longest} tokens at most, "
                f"but preprocessing.token_buckets ends at {buckets[-1]}"
            )
        return load_pretrained_tokenizer(text.name), architecture
    drawn = products.take(
        np.arange(0, len(products), max(1, len(products) // MOST_VOCABULARY_ROWS))
    )
    joined = (join_fields(text_fields(each), config.preprocessing) for each in drawn)
    texts = (normalise_text(each, config.preprocessing) for each in joined)
    tokenizer = train_wordpiece(texts, text.scratch.vocabulary_size)
    return tokenizer, scratch_architecture(
        text.scratch, vocabulary_size=tokenizer.get_vocab_size(), max_token_count=buckets[-1]
    )


def _evaluate(
    module: EncoderModule,
    loaders: ProductDataModule,
    data: TrainingData,
    trainer: L.Trainer,
    duration_s: float,
) -> TrainingSummary:
    """Fits the fusion weight and measures with it."""
    fusion = module.model.fusion
    scores: dict[str, RankingScores] = {}
    if data.validation:
        queries, gallery = (_embed(module, loader) for loader in loaders.val_dataloader())
        weight, scores = evaluate_patterns(queries, gallery)
        fusion.set_weight(weight)
    return TrainingSummary(
        recall_at_1={kind: found.recall_at_1 for kind, found in scores.items()},
        mean_average_precision={
            kind: found.mean_average_precision for kind, found in scores.items()
        },
        fusion_weight=fusion.plain_weight(),
        epoch_count=trainer.current_epoch,
        train_count=len(data.train),
        validation_count=len(data.validation),
        gallery_count=len(data.gallery),
        duration_s=round(duration_s, 1),
    )


@torch.inference_mode()
def _embed(module: EncoderModule, loader: DataLoader[Row]) -> EmbeddedRows:
    module.eval()
    device = module.device
    batches = (Batch(*(part.to(device) for part in batch)) for batch in loader)
    return join_rows([module.embed_rows(batch) for batch in batches])
