"""The Lightning module: its optimizer, one training step, retrieval on the validation offers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

import lightning as L
import torch
from timm.optim import param_groups_weight_decay  # type: ignore[attr-defined]
from torch import nn
from transformers import get_cosine_schedule_with_warmup

from twinshelf.training.data.data_module import Batch
from twinshelf.training.loop.loop_config import OptimizerConfig
from twinshelf.training.loop.trainer import MONITORED
from twinshelf.training.loop.validation import EmbeddedRows, evaluate_patterns, join_rows
from twinshelf.training.losses.loss_config import LossConfig
from twinshelf.training.losses.stream_losses import (
    Stream,
    StreamLosses,
    drop_modalities,
    gather_rows,
)
from twinshelf.training.model.encoder import FusedEncoder
from twinshelf.training.retrieval.embeddings import ProductEmbeddings

logger = logging.getLogger(__name__)


def freeze_backbones(encoder: FusedEncoder, config: OptimizerConfig) -> None:
    """Freezes backbones whose learning rate is 0: they get no gradient at all."""
    for tower, lr in _towers(encoder, config):
        if lr == 0:
            tower.backbone.requires_grad_(False)


def set_training_modes(encoder: FusedEncoder, config: OptimizerConfig) -> None:
    """Puts backbones that learn into training mode, frozen ones and fixed norms into evaluation."""
    for tower, lr in _towers(encoder, config):
        tower.backbone.train(lr > 0)
    if config.image_batch_norm_mode == "fixed":
        for norm in _image_batch_norms(encoder):
            norm.eval()


def warn_of_folded_norms(encoder: FusedEncoder, config: OptimizerConfig) -> None:
    """Tells of pretrained image weights that their batch norms would spoil in the first steps.

    Published weights may have the statistics of their norms folded in: the norms do nothing but add
    a bias, until they move. Fashion types by photo then fell from F1 .880 to .702.
    """
    if config.image_batch_norm_mode == "fixed" or config.image_lr == 0:
        return
    means = [norm.running_mean for norm in _image_batch_norms(encoder)]
    if means and not any(mean.any() for mean in means if mean is not None):
        logger.warning(
            "the image weights have their batch statistics folded in, and moving batch norms would "
            "spoil them: --optimizer.image_batch_norm_mode=fixed keeps them"
        )


def build_optimizer(
    encoder: FusedEncoder, losses: nn.Module, config: OptimizerConfig
) -> torch.optim.AdamW:
    """Builds AdamW over every trained weight, each once, with its peak learning rate and decay.

    Args:
        encoder: The towers.
        losses: May hold learnt group centres; they learn as the heads do, without decay, since
            only their direction counts.
        config: Learning rates and decay.
    """
    parts: list[tuple[nn.Module, float, float]] = []
    for tower, lr in _towers(encoder, config):
        parts.append((tower.backbone, lr, config.weight_decay))
        parts.append((tower.head, config.head_lr, config.weight_decay))
    parts.append((losses, config.head_lr, 0.0))
    groups: list[dict[str, Any]] = []
    for module, lr, decay in parts:
        # Biases and norms without decay, matrices with it; none that is frozen.
        groups += [{**group, "lr": lr} for group in param_groups_weight_decay(module, decay)[::-1]]
    return torch.optim.AdamW(groups)


def _towers(encoder: FusedEncoder, config: OptimizerConfig) -> Iterable[tuple[Any, float]]:
    return ((encoder.image_tower, config.image_lr), (encoder.text_tower, config.text_lr))


class EncoderModule(L.LightningModule):
    """Trains the two towers.

    Args:
        model: The towers and their fusion.
        loss: What is minimised.
        optimizer: How.
        group_count: Groups in the training rows; their numbers are 0 to below this.
        seed: Seed of modality dropout.
    """

    def __init__(
        self,
        model: FusedEncoder,
        *,
        loss: LossConfig,
        optimizer: OptimizerConfig,
        group_count: int,
        seed: int,
    ) -> None:
        super().__init__()
        self.model = model
        self.loss_config, self.optimizer_config = loss, optimizer
        image_dim, text_dim = model.image_tower.embedding_dim, model.text_tower.embedding_dim
        self.losses = StreamLosses(
            loss,
            group_count=group_count,
            embedding_dims={"image": image_dim, "text": text_dim, "fused": image_dim + text_dim},
        )
        self.seed = seed
        self.embedded: dict[int, list[EmbeddedRows]] = {0: [], 1: []}
        freeze_backbones(model, optimizer)

    def on_train_epoch_start(self) -> None:
        """Keeps frozen backbones as they are: no dropout, no moving batch statistics."""
        set_training_modes(self.model, self.optimizer_config)

    def training_step(self, batch: Batch, batch_number: int) -> torch.Tensor:
        """Returns the loss of a batch."""
        image, text = self.embed(batch)
        # Each step and process draws its own, whether the run was resumed or not.
        draw = (self.seed, self.global_step, batch_number, self.global_rank)
        generator = torch.Generator().manual_seed(hash(draw))
        present = batch.has_image.cpu(), batch.has_text.cpu()
        chance = self.loss_config.modality_dropout
        kept_image, kept_text = drop_modalities(*present, chance, generator)
        # What is compared is the whole batch, not the part that this process embedded.
        image, text, has_image, has_text, kept_image, kept_text, labels = gather_rows(
            image,
            text,
            batch.has_image,
            batch.has_text,
            kept_image.to(image.device),
            kept_text.to(image.device),
            batch.labels,
        )
        fused = self.model.fusion(image * kept_image[:, None], text * kept_text[:, None])
        streams = {
            "image": Stream(embeddings=image, present=has_image),
            "text": Stream(embeddings=text, present=has_text),
            "fused": Stream(embeddings=fused, present=kept_image | kept_text),
        }
        # Cosines near one differ by less than half precision can tell.
        with torch.autocast(image.device.type, enabled=False):
            values = self.losses(streams, labels)
        for name, value in values.items():
            self.log(
                f"train/loss_{name}",
                value.detach(),
                prog_bar=name == "total",
                on_step=True,
                on_epoch=True,
                batch_size=len(labels),
            )
        return values["total"]

    def embed(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns image and text embeddings, float32 (B, D) each, zeros where there is none."""
        model = self.model
        image = _embed_present(
            batch.has_image,
            # Convolutions are faster on pixels whose channels lie side by side.
            lambda rows: model.image_tower(
                batch.pixels[rows].contiguous(memory_format=torch.channels_last)
            ),
            model.image_tower.embedding_dim,
        )
        text = _embed_present(
            batch.has_text,
            lambda rows: model.text_tower(batch.input_ids[rows], batch.attention_mask[rows]),
            model.text_tower.embedding_dim,
        )
        return image, text

    def embed_rows(self, batch: Batch) -> EmbeddedRows:
        """Returns the embeddings of a batch, on the CPU, with its groups."""
        image, text = (rows.float().cpu().numpy() for rows in self.embed(batch))
        return EmbeddedRows(
            embeddings=ProductEmbeddings(image=image, text=text),
            groups=tuple(map(str, batch.labels.tolist())),
        )

    def validation_step(self, batch: Batch, batch_number: int, dataloader_idx: int = 0) -> None:
        """Embeds offers (loader 0) and the gallery (loader 1)."""
        del batch_number
        self.embedded[dataloader_idx].append(self.embed_rows(batch))

    def on_validation_epoch_end(self) -> None:
        """Ranks the gallery for each offer, by image, by text and by both as well as they mix."""
        queries, gallery = (join_rows(self.embedded[loader]) for loader in (0, 1))
        for batches in self.embedded.values():
            batches.clear()
        _, scores = evaluate_patterns(queries, gallery)
        for pattern, found in scores.items():
            self.log(f"validation/recall_at_1_{pattern}", found.recall_at_1)
        precisions = [found.mean_average_precision for found in scores.values()]
        self.log(MONITORED, sum(precisions) / max(1, len(precisions)), prog_bar=True)

    def configure_optimizers(self) -> Any:
        """Returns AdamW and its schedule, a step of it for each step of training."""
        config = self.optimizer_config
        optimizer = build_optimizer(self.model, self.losses, config)
        step_count = int(self.trainer.estimated_stepping_batches)
        schedule = get_cosine_schedule_with_warmup(
            optimizer, round(step_count * config.warmup_share), step_count
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


def _image_batch_norms(encoder: FusedEncoder) -> list[nn.modules.batchnorm._BatchNorm]:
    parts = encoder.image_tower.backbone.modules()
    return [part for part in parts if isinstance(part, nn.modules.batchnorm._BatchNorm)]


def _embed_present(
    present: torch.Tensor, embed: Callable[[torch.Tensor], torch.Tensor], embedding_dim: int
) -> torch.Tensor:
    rows = present.nonzero().squeeze(1)
    if len(rows) < 2:
        # Batch norm needs two rows, and distributed training a gradient for every weight.
        rows = present.int().topk(min(2, len(present))).indices.sort().values
    embeddings = embed(rows) * present[rows, None]
    if len(rows) == len(present):
        return embeddings
    whole = torch.zeros(len(present), embedding_dim, device=present.device)
    return whole.index_copy(0, rows, embeddings.to(whole.dtype))
