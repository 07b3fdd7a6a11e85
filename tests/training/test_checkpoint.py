"""Saving and loading: equal embeddings, and a message for what is missing or does not fit."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.training.small_catalogue import small_config
from twinshelf.training.categories import category_results
from twinshelf.training.categories.category_config import CategoryConfig, CategoryOptions
from twinshelf.training.checkpoint import load_encoder, save_inputs, save_weights
from twinshelf.training.config import TrainConfig
from twinshelf.training.evaluation import evaluation_config, judged_search
from twinshelf.training.evaluation.evaluation_config import EvaluationOptions
from twinshelf.training.evaluation.evaluation_run import PLOTS
from twinshelf.training.model.encoder import FusedEncoder, build_encoder
from twinshelf.training.model.text_backbone import scratch_architecture
from twinshelf.training.model.wordpiece import train_wordpiece
from twinshelf.training.retrieval.calibration import Calibration, Curve
from twinshelf.training.retrieval.match_probability import MatchModel, MatchProbability
from twinshelf.training.retrieval.match_probability_fit import NO_THRESHOLDS

CALIBRATION = Calibration(
    curves={"both": Curve(scores=(0.0, 1.0), probabilities=(0.1, 0.9))},
    thresholds={"both": 0.5},
    matches=MatchProbability(
        models=(
            MatchModel(
                image_weight=0.3,
                steepness=2.0,
                even_score=0.6,
                sharpness=9.0,
                rivalry=0.5,
                thresholds=NO_THRESHOLDS,
            ),
        ),
        match_prior=0.4,
    ),
)


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, FusedEncoder, TrainConfig]:
    config = small_config(tmp_path)
    tokenizer = train_wordpiece(["red paint"], 300)
    architecture = scratch_architecture(
        config.model.text.scratch,
        vocabulary_size=tokenizer.get_vocab_size(),
        max_token_count=config.preprocessing.token_buckets[-1],
    )
    torch.manual_seed(0)
    model = build_encoder(config.model, image_size_px=32, architecture=architecture).eval()
    model.fusion.set_weight(0.3)
    save_inputs(tmp_path / "run", config=config, tokenizer=tokenizer, architecture=architecture)
    save_weights(tmp_path / "run", model)
    (tmp_path / "run" / "calibration.json").write_text(CALIBRATION.to_json())
    return tmp_path / "run", model, config


@pytest.mark.slow
def test_a_loaded_encoder_embeds_alike(saved: tuple[Path, FusedEncoder, TrainConfig]) -> None:
    folder, model, config = saved
    loaded = load_encoder(folder)
    tokens = loaded.tokenizer.encode(["Red paint", ""])
    ids, mask = torch.from_numpy(tokens.input_ids), torch.from_numpy(tokens.attention_mask)
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (2, 3, 32, 32), generator=generator, dtype=torch.uint8)
    image, text = loaded.model.image_tower(pixels), loaded.model.text_tower(ids, mask)
    expected = model.fusion(model.image_tower(pixels), model.text_tower(ids, mask))
    assert torch.equal(loaded.model.fusion(image, text), expected)
    assert loaded.config == config
    assert loaded.settings == config.preprocessing
    assert loaded.calibration == CALIBRATION


@pytest.mark.slow
def test_a_missing_file_is_named(saved: tuple[Path, FusedEncoder, TrainConfig]) -> None:
    folder, _, _ = saved
    (folder / "weights.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"no weights\.safetensors in .*run"):
        load_encoder(folder)


@pytest.mark.slow
def test_weights_that_do_not_fit_are_refused(saved: tuple[Path, FusedEncoder, TrainConfig]) -> None:
    folder, _, _ = saved
    save_file({"fusion.weight": torch.tensor(0.5)}, folder / "weights.safetensors")
    with pytest.raises(ValueError, match="does not fit"):
        load_encoder(folder)


@pytest.mark.slow
def test_saving_removes_what_was_found_with_older_weights(
    saved: tuple[Path, FusedEncoder, TrainConfig], tmp_path: Path
) -> None:
    folder, model, _ = saved
    other = EvaluationOptions(run=folder, queries=tmp_path / "other.csv").results_folder
    by_group = CategoryOptions(run=folder, config=CategoryConfig(label="group"))
    categories = by_group.results_folder
    found = [folder / each.RESULTS for each in (evaluation_config, judged_search)]
    found += [folder / PLOTS / "recall.png", other / "evaluation.json"]
    found += [categories / name for name in (category_results.RESULTS, "mlp_both.safetensors")]
    kept = folder / "groups.parquet"
    for path in (*found, kept):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    save_weights(folder, model)
    assert kept.exists() and not any(path.exists() for path in found)
    assert load_encoder(folder).calibration is None
