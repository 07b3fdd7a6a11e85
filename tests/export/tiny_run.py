"""A run as training leaves it, but tiny: random weights, exported in seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from training.calibration import Calibration, Curve
from training.catalogues.table import write_table
from training.checkpoint import save_encoder
from training.config import TrainConfig
from training.image_encoder import ImageEncoderConfig
from training.model import ModelConfig, build_model
from training.preprocessing.settings import PreprocessingSettings
from training.product import Product
from training.text_encoder import ScratchTextConfig, TextEncoderConfig, scratch_architecture
from training.training_data import DataConfig
from training.wordpiece import train_wordpiece

SETTINGS = PreprocessingSettings(
    image_size_px=32,
    token_buckets=(8, 16, 48),
    query_prefix="query: ",
    passage_prefix="passage: ",
)
WORDS = ("red", "green", "молоко", "чай", "soap", "500", "box", "bar", "large", "small")
CALIBRATION = Calibration(
    curves={
        "image": Curve(scores=(0.1, 0.8), probabilities=(0.0, 0.9)),
        "text": Curve(scores=(0.2, 0.7), probabilities=(0.1, 1.0)),
        "both": Curve(scores=(0.3, 0.9), probabilities=(0.0, 1.0)),
    },
    thresholds={"image": 0.7, "text": 0.6, "both": 0.65},
)


def make_run(folder: Path, *, seed: int = 7, calibration: Calibration | None = CALIBRATION) -> Path:
    """Writes `folder/run` and `folder/data`; returns the run. Another seed gives other weights."""
    make_data(folder / "data")
    tokenizer = train_wordpiece([" ".join(WORDS)] * 4, 400)
    config = TrainConfig(
        output=str(folder / "run"),
        data=DataConfig(folder=str(folder / "data")),
        preprocessing=SETTINGS,
        model=ModelConfig(
            image=ImageEncoderConfig(name="test_efficientnet"),
            text=TextEncoderConfig(
                scratch=ScratchTextConfig(width=16, layer_count=1, head_count=2)
            ),
            embedding_dim=12,
        ),
    )
    architecture = scratch_architecture(
        config.model.text.scratch,
        vocabulary_size=tokenizer.get_vocab_size(),
        max_token_count=SETTINGS.token_buckets[-1],
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build_model(
            config.model, image_size_px=SETTINGS.image_size_px, architecture=architecture
        )
        # Fresh batch norms do nothing; these do.
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
                torch.nn.init.normal_(module.running_mean, std=0.1)
                torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    model.fusion.set_weight(0.6)
    save_encoder(
        folder / "run",
        model=model,
        config=config,
        tokenizer=tokenizer,
        architecture=architecture,
        calibration=calibration,
    )
    return folder / "run"


def make_data(folder: Path, *, product_count: int = 8) -> None:
    """Writes tables of queries and gallery with photos; some rows lack a modality."""
    generator = np.random.default_rng(3)
    rows: dict[str, list[Product]] = {"queries": [], "gallery": []}
    for number in range(product_count):
        colours = generator.integers(0, 256, (3, 5, 3), dtype=np.uint8)
        for role, products in rows.items():
            photo = folder / "images" / f"{role}{number}.jpg"
            photo.parent.mkdir(parents=True, exist_ok=True)
            size = (40 + 7 * number, 60 - 3 * number)
            Image.fromarray(colours).resize(size, Image.Resampling.BICUBIC).save(photo)
            products.append(
                Product(
                    product_id=f"{role}{number}",
                    title=f"{WORDS[number]} {WORDS[-number]}" if number != 1 else "",
                    attributes={"size": WORDS[number // 2]} if number != 1 else {},
                    images=(photo,) if number != 2 else (),
                    group=f"g{number}",
                )
            )
    for role, products in rows.items():
        write_table(folder / f"{role}.parquet", products)
