"""The ablation of a run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.benchmarks.ablation.__main__ import main
from tests.benchmarks.ablation.ablation_config import AblationConfig
from tests.benchmarks.ablation.ablation_results import Ablation
from tests.benchmarks.ablation.ablation_run import ablate
from tests.benchmarks.ablation.input_variants import VARIANTS, embed_variants
from tests.benchmarks.ablation.zero_shot import load_zero_shot
from tests.training.evaluation.tiny_run import make_run
from twinshelf.training.checkpoint import load_encoder
from twinshelf.training.config import config_to_yaml
from twinshelf.training.evaluation.embedded_products import embed_products, read_products
from twinshelf.training.model.image_backbone import build_image_backbone

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def found(run: Path) -> Ablation:
    return ablate(AblationConfig(run=run))


def test_every_input_is_evaluated_by_both_searches(found: Ablation) -> None:
    assert list(found.cells) == [variant.name for variant in VARIANTS]
    for encoders in found.cells.values():
        assert list(encoders) == ["fine-tuned"]
        assert list(encoders["fine-tuned"]) == ["exact", "usearch"]
        for cell in encoders["fine-tuned"].values():
            assert 0 <= cell.metrics["recall@1"] <= cell.metrics["Acc@10"] <= 1


def test_towers_from_scratch_have_no_zero_shot(found: Ablation) -> None:
    assert len(found.notes) == 2
    assert all("from scratch" in note for note in found.notes)


def test_only_both_modalities_have_a_fusion_weight(found: Ablation) -> None:
    for variant in VARIANTS:
        weight = found.cells[variant.name]["fine-tuned"]["exact"].fusion_weight
        assert (weight is not None) == (variant.has_image and bool(variant.text_fields))


def test_title_alone_embeds_as_an_encoder_that_reads_only_titles(run: Path) -> None:
    encoder = load_encoder(run)
    products = read_products([run.parent / "data" / "queries.parquet"], [])
    varied = embed_variants(encoder, products, are_passages=False)
    titles = replace(encoder, settings=replace(encoder.settings, text_fields=("title",)))
    whole = embed_products(titles, products, are_passages=False).embeddings
    by_name = {variant.name: variant for variant in VARIANTS}
    both = varied.embeddings(by_name["image + title"])
    np.testing.assert_allclose(both.image, whole.image, atol=1e-6)
    np.testing.assert_allclose(both.text, whole.text, atol=1e-6)
    assert not varied.embeddings(by_name["title"]).image.any()
    assert not varied.embeddings(by_name["image"]).text.any()


def test_zero_shot_takes_the_features_of_the_starting_weights(run: Path, tmp_path: Path) -> None:
    encoder = load_encoder(run)
    start = build_image_backbone(encoder.config.model.image)
    weights = tmp_path / "start.pth"
    torch.save(start.network.state_dict(), weights)
    zero_shot = load_zero_shot(encoder, image_weights=weights)
    assert zero_shot.has_image and not zero_shot.has_text
    pixels = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    expected = torch.nn.functional.normalize(start.eval()(pixels), dim=1)
    torch.testing.assert_close(zero_shot.encoder.model.image_tower(pixels), expected)
    found = ablate(AblationConfig(run=run, image_weights=weights))
    assert "zero-shot" in found.cells["image"] and "zero-shot" not in found.cells["title"]


def test_lost_starting_weights_are_noted_not_fatal(run: Path) -> None:
    encoder = load_encoder(run)
    model = encoder.config.model
    lost = replace(model, image=replace(model.image, weights="gone.pth"))
    config = replace(encoder.config, model=lost)
    assert "gone.pth" in config_to_yaml(config)
    zero_shot = load_zero_shot(replace(encoder, config=config))
    assert not zero_shot.has_image
    assert "gone.pth" in zero_shot.notes[0]


def test_the_command_prints_and_saves(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--run", str(run), "--device", "cpu", "--width", "120"]) == 0
    assert "image + title + category" in capsys.readouterr().out
    saved = json.loads((run / "ablation.json").read_text())
    assert saved["cells"]["title"]["fine-tuned"]["usearch"]["query_count"] > 0


def test_a_missing_run_ends_with_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--run", str(tmp_path / "gone")]) == 1
    assert "ablation failed: no config.yaml in" in capsys.readouterr().err
