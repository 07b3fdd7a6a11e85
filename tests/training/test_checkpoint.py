"""Saving and loading: equal embeddings, and a message for what is missing or does not fit."""

import pytest
import torch
from safetensors.torch import save_file

from tests.training.small_catalogue import small_config
from training.calibration import Calibration, Curve
from training.checkpoint import load_encoder, save_encoder
from training.model import build_model
from training.text_encoder import scratch_architecture
from training.wordpiece import train_wordpiece

CALIBRATION = Calibration(
    curves={"both": Curve(scores=(0.0, 1.0), probabilities=(0.1, 0.9))}, thresholds={"both": 0.5}
)


@pytest.fixture
def saved(tmp_path):
    config = small_config(tmp_path)
    tokenizer = train_wordpiece(["red paint"], 300)
    architecture = scratch_architecture(
        config.model.text.scratch,
        vocabulary_size=tokenizer.get_vocab_size(),
        max_token_count=config.preprocessing.token_buckets[-1],
    )
    torch.manual_seed(0)
    model = build_model(config.model, image_size_px=32, architecture=architecture).eval()
    model.fusion.set_weight(0.3)
    save_encoder(
        tmp_path / "run",
        model=model,
        config=config,
        tokenizer=tokenizer,
        architecture=architecture,
        calibration=CALIBRATION,
    )
    return tmp_path / "run", model, config


def test_a_loaded_encoder_embeds_alike(saved):
    folder, model, config = saved
    loaded = load_encoder(folder)
    tokens = loaded.tokenizer.encode(["Red paint", ""])
    ids, mask = torch.from_numpy(tokens.input_ids), torch.from_numpy(tokens.attention_mask)
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (2, 3, 32, 32), generator=generator, dtype=torch.uint8)
    assert torch.equal(loaded.model(pixels, ids, mask), model(pixels, ids, mask))
    assert loaded.config == config
    assert loaded.settings == config.preprocessing
    assert loaded.calibration == CALIBRATION


def test_a_missing_file_is_named(saved):
    folder, _, _ = saved
    (folder / "weights.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"no weights\.safetensors in .*run"):
        load_encoder(folder)


def test_weights_that_do_not_fit_are_refused(saved):
    folder, _, _ = saved
    save_file({"fusion.weight": torch.tensor(0.5)}, folder / "weights.safetensors")
    with pytest.raises(ValueError, match="does not fit"):
        load_encoder(folder)


def test_saving_without_a_calibration_removes_the_old_one(saved):
    folder, model, config = saved
    loaded = load_encoder(folder)
    save_encoder(
        folder,
        model=model,
        config=config,
        tokenizer=train_wordpiece(["red paint"], 300),
        architecture=loaded.model.text_tower.encoder.backbone.config,
    )
    assert load_encoder(folder).calibration is None
