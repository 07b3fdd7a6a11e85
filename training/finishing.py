"""Finishing: what becomes of the image tower's weights once training is over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from training.data_module import Batch
from training.towers import ImageTower, set_projection
from training.weight_averaging import mix_in
from training.whitening import fit_whitening


@dataclass(frozen=True, kw_only=True)
class FinishingConfig:
    """What is done once training is over.

    Photos unlike those learnt from, of other shops and cameras, gain most by it.

    Attributes:
        image_start_share: Share of the pretrained weights in the saved ones of the image encoder, 0
            to below 1; the rest is what training made of them (WiSE-FT: Wortsman et al. 2022, arXiv
            2109.01903, equation 1). An encoder that started at random is left as it is.
        image_head_shrinkage: Shrinkage, above 0 to 1, of the covariance within groups by which the
            encoder's features of the training photos are whitened; the projection that does it
            becomes the image tower's (`training.whitening`). null keeps the projection as learnt.

    Raises:
        ValueError: If a value is out of range.
    """

    image_start_share: float = 0.0
    image_head_shrinkage: float | None = None

    def __post_init__(self) -> None:
        """Checks the ranges."""
        if not 0 <= self.image_start_share < 1:
            raise ValueError(
                f"finishing.image_start_share must be 0 to below 1, got {self.image_start_share}"
            )
        shrinkage = self.image_head_shrinkage
        if shrinkage is not None and not 0 < shrinkage <= 1:
            raise ValueError(
                f"finishing.image_head_shrinkage must be above 0 to 1, or null, got {shrinkage}"
            )


def finish_image_tower(
    tower: ImageTower,
    config: FinishingConfig,
    *,
    start: Mapping[str, torch.Tensor] | None,
    photos: Iterable[Batch],
) -> None:
    """Mixes the start into the encoder, then fits the projection anew to what it gives.

    Args:
        tower: The trained tower; changed in place.
        config: What to do.
        start: The encoder's `state_dict` from before training; None if that was random.
        photos: The training rows as they are served, not varied.

    Raises:
        ValueError: If the photos are too few to fit a projection to.
    """
    if start is not None and config.image_start_share:
        mix_in(tower.encoder, start, config.image_start_share)
    if config.image_head_shrinkage is not None:
        features, groups = _embed_features(tower, photos)
        try:
            fitted = fit_whitening(
                features,
                groups,
                direction_count=tower.embedding_dim,
                shrinkage=config.image_head_shrinkage,
            )
        except ValueError as error:
            raise ValueError(f"finishing.image_head_shrinkage: {error}") from None
        set_projection(tower.head, fitted.mean, fitted.directions)


@torch.inference_mode()
def _embed_features(tower: ImageTower, photos: Iterable[Batch]) -> tuple[np.ndarray, np.ndarray]:
    tower.eval()
    device = next(tower.parameters()).device
    features, groups = [], []
    for batch in photos:
        pixels = batch.pixels[batch.has_image].to(device, memory_format=torch.channels_last)
        if len(pixels):
            features.append(tower.encoder(pixels).float().cpu().numpy())
            groups.append(batch.labels[batch.has_image].numpy())
    if not features:
        raise ValueError("finishing.image_head_shrinkage: no training row has a photo")
    return np.concatenate(features), np.concatenate(groups)
