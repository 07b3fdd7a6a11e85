"""A run as training leaves it, but tiny: random weights, exported in seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from twinshelf.training.catalogues.product import Product
from twinshelf.training.catalogues.table import write_table
from twinshelf.training.checkpoint import save_inputs, save_weights
from twinshelf.training.config import TrainConfig
from twinshelf.training.data.data_config import DataConfig
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
from twinshelf.training.retrieval.calibration import Calibration, Curve
from twinshelf.training.retrieval.match_probability import MatchModel, MatchProbability
from twinshelf.training.retrieval.match_probability_fit import NO_THRESHOLDS

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
    matches=MatchProbability(
        models=tuple(
            MatchModel(
                image_weight=image_weight,
                steepness=4.0,
                even_score=0.7,
                sharpness=20.0,
                rivalry=1.0,
                thresholds=NO_THRESHOLDS,
            )
            for image_weight in (0.0, 0.6, 1.0)
        ),
        match_prior=0.5,
    ),
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
            image=ImageBackboneConfig(name="test_efficientnet"),
            text=TextBackboneConfig(
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
        model = build_encoder(
            config.model, image_size_px=SETTINGS.image_size_px, architecture=architecture
        )
        # Fresh batch norms do nothing; these do.
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
                module.running_mean = torch.randn(module.num_features) * 0.1
                module.running_var = torch.rand(module.num_features) + 0.5
    model.fusion.set_weight(0.6)
    save_inputs(folder / "run", config=config, tokenizer=tokenizer, architecture=architecture)
    save_weights(folder / "run", model)
    if calibration is not None:
        (folder / "run" / "calibration.json").write_text(calibration.to_json())
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
