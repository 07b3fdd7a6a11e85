"""A run as training leaves it, with random weights and towers of a few features, and its data."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image

from twinshelf.training.catalogues.product import Product
from twinshelf.training.catalogues.table import write_table
from twinshelf.training.checkpoint import save_inputs, save_weights
from twinshelf.training.config import TrainConfig
from twinshelf.training.data.data_config import DataConfig
from twinshelf.training.loop.loop_config import LoopConfig
from twinshelf.training.model.encoder import build_encoder
from twinshelf.training.model.model_config import (
    ImageBackboneConfig,
    ModelConfig,
    ScratchTextConfig,
    TextBackboneConfig,
)
from twinshelf.training.model.text_backbone import scratch_architecture
from twinshelf.training.model.wordpiece import train_wordpiece
from twinshelf.training.preprocessing.settings import PreprocessingSettings

SETTINGS = PreprocessingSettings(
    image_size_px=32,
    text_fields=("title",),
    token_buckets=(8, 16),
    query_prefix="offer ",
    passage_prefix="product ",
)
WORDS = ("red", "green", "blue", "tea", "soap", "milk", "box", "bar", "cup", "jar")
PRODUCT_COUNT = 10


def make_run(folder: Path, *loggers: Literal["tensorboard", "mlflow"]) -> Path:
    """Writes `folder/run`, tracked by the loggers, and `folder/data`; returns the run."""
    make_tables(folder / "data")
    tokenizer = train_wordpiece([" ".join((*WORDS, "offer", "product"))] * 4, 300)
    config = TrainConfig(
        output=str(folder / "run"),
        data=DataConfig(folder=str(folder / "data"), pixel_cache=str(folder / "pixels")),
        preprocessing=SETTINGS,
        model=ModelConfig(
            image=ImageBackboneConfig(name="test_efficientnet"),
            text=TextBackboneConfig(
                scratch=ScratchTextConfig(width=16, layer_count=1, head_count=2)
            ),
            embedding_dim=12,
        ),
        loop=LoopConfig(loggers=loggers),
    )
    architecture = scratch_architecture(
        config.model.text.scratch,
        vocabulary_size=tokenizer.get_vocab_size(),
        max_token_count=SETTINGS.token_buckets[-1],
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build_encoder(config.model, image_size_px=32, architecture=architecture)
    save_inputs(folder / "run", config=config, tokenizer=tokenizer, architecture=architecture)
    save_weights(folder / "run", model)
    return folder / "run"


def make_tables(folder: Path) -> None:
    """Writes queries and gallery: two offers per product, like it but for noise in the photo."""
    generator = np.random.default_rng(3)
    queries: list[Product] = []
    gallery: list[Product] = []
    for number in range(PRODUCT_COUNT):
        colours = generator.integers(0, 256, (3, 4, 3), dtype=np.uint8)
        for place in range(3):
            noise = generator.integers(-20, 20, colours.shape)
            photo = folder / f"{number}_{place}.png"
            photo.parent.mkdir(parents=True, exist_ok=True)
            drawn = Image.fromarray(np.clip(colours + noise, 0, 255).astype(np.uint8))
            drawn.resize((40, 30)).save(photo)
            product = Product(
                product_id=photo.stem,
                title=f"{WORDS[number]} {WORDS[(number * 3 + place) % 10]}",
                category=f"c{number % 2}",
                images=(photo,),
                group=f"g{number}",
            )
            (gallery if place == 0 else queries).append(product)
    write_table(folder / "queries.parquet", queries)
    write_table(folder / "gallery.parquet", gallery)
