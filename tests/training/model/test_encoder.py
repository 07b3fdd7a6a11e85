"""The towers and their fusion: unit length, independence of the batch, exact inner products."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from twinshelf.training.model.encoder import (
    FusedEncoder,
    Fusion,
    build_encoder,
    build_head,
    set_projection,
)
from twinshelf.training.model.model_config import (
    ImageBackboneConfig,
    ModelConfig,
    ScratchTextConfig,
)
from twinshelf.training.model.text_backbone import scratch_architecture

SIDE = 32


@pytest.fixture(scope="module")
def model() -> FusedEncoder:
    torch.manual_seed(0)
    architecture = scratch_architecture(
        ScratchTextConfig(width=16, layer_count=1, head_count=2),
        vocabulary_size=50,
        max_token_count=16,
    )
    config = ModelConfig(
        image=ImageBackboneConfig(name="test_efficientnet"),
        head_dropout=0.1,
        embedding_dim=12,
    )
    return build_encoder(config, image_size_px=SIDE, architecture=architecture).eval()


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (5, 3, SIDE, SIDE), generator=generator, dtype=torch.uint8)


@pytest.fixture(scope="module")
def tokens() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    ids = torch.randint(5, 50, (5, 8), generator=generator)
    mask = torch.ones_like(ids)
    mask[1, 3:] = 0
    mask[4, 1:] = 0
    return ids, mask


def embed(model: FusedEncoder, pixels: torch.Tensor, *tokens: torch.Tensor) -> torch.Tensor:
    return model.fusion(model.image_tower(pixels), model.text_tower(*tokens))


def test_embeddings_are_unit_rows(
    model: FusedEncoder, pixels: torch.Tensor, tokens: tuple[torch.Tensor, torch.Tensor]
) -> None:
    both = embed(model, pixels, *tokens)
    for rows in (model.image_tower(pixels), model.text_tower(*tokens), both):
        assert rows.dtype == torch.float32
        torch.testing.assert_close(rows.norm(dim=1), torch.ones(5), atol=1e-6, rtol=0)


def test_a_row_does_not_depend_on_its_batch(
    model: FusedEncoder, pixels: torch.Tensor, tokens: tuple[torch.Tensor, torch.Tensor]
) -> None:
    ids, mask = tokens
    whole = embed(model, pixels, ids, mask)
    rows = [slice(i, i + 1) for i in range(5)]
    single = torch.cat([embed(model, pixels[row], ids[row], mask[row]) for row in rows])
    # Only the order of summation differs.
    torch.testing.assert_close(whole, single, atol=1e-5, rtol=0)
    assert (whole[0] - whole[1]).abs().max() > 1e-2


def test_padding_does_not_change_a_text(
    model: FusedEncoder, tokens: tuple[torch.Tensor, torch.Tensor]
) -> None:
    ids, mask = tokens
    padded_ids = F.pad(ids, (0, 8), value=7)
    padded_mask = F.pad(mask, (0, 8), value=0)
    torch.testing.assert_close(
        model.text_tower(ids, mask), model.text_tower(padded_ids, padded_mask), atol=1e-5, rtol=0
    )


def test_pixel_scale_mean_and_deviation_are_inside(
    model: FusedEncoder, pixels: torch.Tensor
) -> None:
    backbone = model.image_tower.backbone
    network: Any = backbone.network
    settings = network.pretrained_cfg
    mean = torch.tensor(settings["mean"]).view(1, 3, 1, 1)
    std = torch.tensor(settings["std"]).view(1, 3, 1, 1)
    by_hand = network((pixels.float() / 255 - mean) / std)
    torch.testing.assert_close(backbone(pixels), by_hand, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("weight", [0.02, 0.35, 0.98])
def test_fused_inner_product_is_the_weighted_sum_of_cosines(weight: float) -> None:
    generator = torch.Generator().manual_seed(3)
    image, text = (F.normalize(torch.randn(6, 4, generator=generator)) for _ in range(2))
    fused = Fusion(weight)(image, text)
    expected = weight * image @ image.T + (1 - weight) * text @ text.T
    torch.testing.assert_close(fused @ fused.T, expected, atol=1e-6, rtol=0)


def test_a_missing_modality_leaves_the_other_at_unit_length() -> None:
    image = F.normalize(torch.randn(3, 4, generator=torch.Generator().manual_seed(4)))
    fused = Fusion(0.3)(image, torch.zeros(3, 4))
    torch.testing.assert_close(fused, torch.cat([image, torch.zeros(3, 4)], dim=1))


@pytest.mark.parametrize("weight", [0.0, -0.1, 1.0, float("nan")])
def test_a_fusion_weight_out_of_range_is_refused(weight: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        Fusion(weight)


def test_fusion_weight_reads_back_as_it_was_set() -> None:
    fusion = Fusion()
    fusion.set_weight(0.38)
    assert fusion.plain_weight() == 0.38
    assert torch.equal(fusion.state_dict()["weight"], torch.tensor(0.38))


@pytest.mark.parametrize("direction_count", [2, 6], ids=["fewer", "more"])
def test_a_head_takes_another_projection(direction_count: int) -> None:
    generator = np.random.default_rng(0)
    mean, directions = generator.normal(size=5), generator.normal(size=(5, direction_count))
    features = generator.normal(size=(7, 5))
    head = build_head(5, 4, 0.5).train()
    head(torch.randn(9, 5))  # moves the batch statistics
    set_projection(head, mean, directions)
    with torch.inference_mode():
        given = head.eval()(torch.from_numpy(features).float()).numpy()
    expected = ((features - mean) @ directions)[:, :4]
    np.testing.assert_allclose(given[:, : expected.shape[1]], expected, rtol=1e-3, atol=1e-4)
    assert not given[:, expected.shape[1] :].any()
