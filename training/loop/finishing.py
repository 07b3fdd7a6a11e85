"""Finishing: what becomes of the image tower's weights once training is over."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
import torch
from sklearn.covariance import empirical_covariance, shrunk_covariance
from sklearn.decomposition import PCA
from torch import nn

from twinshelf.training.data.data_module import Batch
from twinshelf.training.loop.loop_config import FinishingConfig
from twinshelf.training.model.encoder import Tower, set_projection

logger = logging.getLogger(__name__)


def finish_image_tower(
    tower: Tower,
    config: FinishingConfig,
    *,
    start: Mapping[str, torch.Tensor] | None,
    photos: Iterable[Batch],
) -> None:
    """Mixes the start into the backbone, then fits the projection anew to what it gives.

    Args:
        tower: The trained tower; changed in place.
        config: What to do.
        start: The backbone's `state_dict` from before training; None if that was random.
        photos: The training rows as they are served, not varied. Where too few have a photo to fit
            a projection to, it stays as it was learnt.
    """
    if start is not None and config.image_start_share:
        mix_in(tower.backbone, start, config.image_start_share)
    if config.image_head_shrinkage is not None:
        try:
            features, groups = _embed_features(tower, photos)
            directions = fit_whitening(
                features,
                groups,
                direction_count=tower.embedding_dim,
                shrinkage=config.image_head_shrinkage,
            )
        except ValueError as error:  # a training of hours has ended, and its weights are good
            logger.warning("the projection of photos stays as it was learnt: %s", error)
        else:
            set_projection(tower.head, features.mean(axis=0), directions)


@torch.no_grad()
def mix_in(module: nn.Module, start: Mapping[str, torch.Tensor], share: float) -> None:
    """Moves the weights of a module back towards where they started.

    Args:
        module: The trained module; its weights become share · start + (1 - share) · trained.
        start: Copy of its `state_dict` from before training.
        share: Share of the start, 0 to 1.
    """
    for name, value in module.state_dict().items():
        if value.is_floating_point():  # counters of steps stay
            value.lerp_(start[name].to(value.device), share)


def fit_whitening(
    rows: npt.NDArray[np.float64],
    groups: npt.NDArray[np.int64],
    *,
    direction_count: int,
    shrinkage: float,
) -> npt.NDArray[np.float64]:
    """Fits within-class covariance normalisation, then principal components.

    With the covariance S within groups, shrunk to (1 - shrinkage) · S + shrinkage · tr(S)/D · I,
    rows are whitened by its inverse square root (Hatch et al., "Within-class covariance
    normalization for SVM-based speaker recognition", Interspeech 2006); of that the principal
    components are kept. A linear discriminant keeps fewer of the same space, one less than there
    are groups: too few where a group has several looks.

    Args:
        rows: Rows of D features, (N, D).
        groups: Their groups, (N,).
        direction_count: Most directions to keep, 1 or more; there are at most min(N, D).
        shrinkage: Share of the identity, above 0 to 1.

    Returns:
        One column per direction, the one along which the rows vary most first, (D, C): a row is
        projected as (row - mean) · directions.

    Raises:
        ValueError: If there are fewer than two groups, or no group varies.
    """
    names, numbers, counts = np.unique(groups, return_inverse=True, return_counts=True)
    means = np.zeros((len(names), rows.shape[1]))
    np.add.at(means, numbers, rows)
    within = empirical_covariance(rows - (means / counts[:, None])[numbers], assume_centered=True)
    if len(names) < 2 or not np.trace(within) > 0:
        raise ValueError(
            "whitening needs rows of two groups or more, and unlike rows in one of them: "
            f"got {len(rows)} rows of {len(names)} groups"
        )
    # By divide and conquer: scipy's usual way fails where few rows leave many equal spreads.
    spreads, axes = np.linalg.eigh(shrunk_covariance(within, shrinkage))
    whitener = axes / np.sqrt(spreads)
    kept = PCA(min(direction_count, *rows.shape), svd_solver="covariance_eigh")
    kept.fit((rows - rows.mean(axis=0)) @ whitener)
    return whitener @ kept.components_.T


@torch.inference_mode()
def _embed_features(tower: Tower, photos: Iterable[Batch]) -> tuple[np.ndarray, np.ndarray]:
    tower.eval()
    device = next(tower.parameters()).device
    features, groups = [], []
    for batch in photos:
        pixels = batch.pixels[batch.has_image].to(device, memory_format=torch.channels_last)
        if len(pixels):
            features.append(tower.backbone(pixels).cpu().double().numpy())
            groups.append(batch.labels[batch.has_image].numpy())
    if not features:
        raise ValueError("no training row has a photo")
    return np.concatenate(features), np.concatenate(groups)
