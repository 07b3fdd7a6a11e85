"""The Lightning module: one training step, and retrieval on the validation offers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import lightning as L
import numpy as np
import torch
from torch.optim.lr_scheduler import LambdaLR

from training.data_module import Batch
from training.embeddings import ModalityWeights, ProductEmbeddings
from training.loop import MONITORED
from training.losses import LossConfig, Stream, StreamLosses, drop_modalities
from training.metrics import accuracy_at, average_precision, mean
from training.optimization import (
    OptimizerConfig,
    build_optimizer,
    freeze_unmoved,
    parameter_groups,
    rate_factor,
    set_training_modes,
)
from training.relevance import pairs_by_group
from training.retrieval import retrieve
from training.towers import FusedEncoder


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedRows:
    """Embedded rows with their groups.

    Attributes:
        image: Unit or zero rows, float32 (N, D), on the CPU.
        text: The same for the text.
        labels: Group numbers, int64 (N,).
    """

    image: torch.Tensor
    text: torch.Tensor
    labels: torch.Tensor

    @property
    def embeddings(self) -> ProductEmbeddings:
        """The rows as search takes them."""
        return ProductEmbeddings(image=self.image.numpy(), text=self.text.numpy())

    @property
    def groups(self) -> list[str]:
        """The group numbers as search takes them."""
        return [str(label) for label in self.labels.tolist()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """How well a gallery was ranked.

    Attributes:
        recall_at_1: Share of queries whose first hit is right, 0 to 1.
        mean_average_precision: MAP over the whole ranking, 0 to 1.
    """

    recall_at_1: float
    mean_average_precision: float


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
        """Builds the losses and freezes what is not to move."""
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
        freeze_unmoved(model, optimizer)

    def on_train_epoch_start(self) -> None:
        """Keeps frozen encoders as they are: no dropout, no moving batch statistics."""
        set_training_modes(self.model, self.optimizer_config)

    def training_step(self, batch: Batch, batch_number: int) -> torch.Tensor:
        """Returns the loss of a batch."""
        image, text = self.embed(batch)
        # Each step and process draws its own, whether the run was resumed or not.
        draw = (self.seed, self.global_step, batch_number, self.global_rank)
        generator = torch.Generator().manual_seed(hash(draw))
        kept_image, kept_text = drop_modalities(
            batch.has_image.cpu(),
            batch.has_text.cpu(),
            self.loss_config.modality_dropout,
            generator,
        )
        kept_image, kept_text = kept_image.to(image.device), kept_text.to(image.device)
        fused = self.model.fusion(image * kept_image[:, None], text * kept_text[:, None])
        streams = {
            "image": Stream(embeddings=image, present=batch.has_image),
            "text": Stream(embeddings=text, present=batch.has_text),
            "fused": Stream(embeddings=fused, present=kept_image | kept_text),
        }
        # Cosines near one differ by less than half precision can tell.
        with torch.autocast(image.device.type, enabled=False):
            values = self.losses(streams, batch.labels)
        for name, value in values.items():
            self.log(
                f"train/loss_{name}",
                value.detach(),
                prog_bar=name == "total",
                on_step=True,
                on_epoch=True,
                batch_size=len(batch.labels),
            )
        return values["total"]

    def embed(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns image and text embeddings, float32 (B, D) each, zeros where there is none."""
        model = self.model
        image = _embed_present(
            batch.has_image,
            lambda rows: model.image_tower(batch.pixels[rows]),
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
        image, text = (rows.float().cpu() for rows in self.embed(batch))
        return EmbeddedRows(image=image, text=text, labels=batch.labels.cpu())

    def validation_step(self, batch: Batch, batch_number: int, dataloader_idx: int = 0) -> None:
        """Embeds offers (loader 0) and the gallery (loader 1)."""
        del batch_number
        self.embedded[dataloader_idx].append(self.embed_rows(batch))

    def on_validation_epoch_end(self) -> None:
        """Ranks the gallery for each offer, by image, by text and by both."""
        queries, gallery = (join_rows(self.embedded[loader]) for loader in (0, 1))
        for batches in self.embedded.values():
            batches.clear()
        share = self.model.fusion.image_share()
        precisions = []
        for pattern, weights in pattern_weights(share).items():
            judgement = judge_ranking(queries, gallery, weights)
            if judgement is not None:
                self.log(f"validation/recall_at_1_{pattern}", judgement.recall_at_1)
                precisions.append(judgement.mean_average_precision)
        self.log(MONITORED, sum(precisions) / max(1, len(precisions)), prog_bar=True)

    def configure_optimizers(self) -> Any:
        """Returns AdamW and its schedule, moved at every step."""
        config = self.optimizer_config
        optimizer = build_optimizer(parameter_groups(self.model, self.losses, config))
        factor = partial(
            rate_factor,
            step_count=int(self.trainer.estimated_stepping_batches),
            warmup_share=config.warmup_share,
        )
        schedule = {"scheduler": LambdaLR(optimizer, factor), "interval": "step"}
        return {"optimizer": optimizer, "lr_scheduler": schedule}


def pattern_weights(image_share: float) -> dict[str, ModalityWeights]:
    """Returns the weights of a query of each kind: by image, by text, by both.

    Args:
        image_share: w of the fusion.
    """
    return {
        "image": ModalityWeights(image=1.0, text=0.0),
        "text": ModalityWeights(image=0.0, text=1.0),
        "both": ModalityWeights(image=image_share, text=1.0 - image_share),
    }


def judge_ranking(
    queries: EmbeddedRows, gallery: EmbeddedRows, weights: ModalityWeights
) -> Judgement | None:
    """Ranks the gallery for each query that has every modality with a weight.

    Args:
        queries: Offers.
        gallery: Catalogue products.
        weights: Weights of the modalities.

    Returns:
        None when no such query has a right answer in the gallery.
    """
    needed = np.array([weights.image, weights.text]) > 0  # (2,)
    rows = np.flatnonzero(queries.embeddings.presence[:, needed].all(axis=1))
    groups = queries.groups
    relevant = pairs_by_group([groups[row] for row in rows.tolist()], gallery.groups)
    if not len(relevant.queries):
        return None
    found = retrieve(
        queries.embeddings.rows(rows), gallery.embeddings, weights=weights, relevant=relevant, k=1
    )
    return Judgement(
        recall_at_1=mean(accuracy_at(found.ranks, 1)),
        mean_average_precision=mean(average_precision(found.ranks)),
    )


def join_rows(batches: Sequence[EmbeddedRows]) -> EmbeddedRows:
    """Returns the rows of several batches as one."""
    return EmbeddedRows(
        image=torch.cat([batch.image for batch in batches]),
        text=torch.cat([batch.text for batch in batches]),
        labels=torch.cat([batch.labels for batch in batches]),
    )


def _embed_present(
    present: torch.Tensor, embed: Callable[[torch.Tensor], torch.Tensor], embedding_dim: int
) -> torch.Tensor:
    rows = present.nonzero().squeeze(1)
    if len(rows) < 2:
        # Batch norm needs two rows, and distributed training a gradient for every weight.
        everything = torch.arange(len(present), device=present.device)
        return embed(everything) * present[:, None]
    embeddings = embed(rows)
    if len(rows) == len(present):
        return embeddings
    whole = torch.zeros(len(present), embedding_dim, device=present.device)
    return whole.index_copy(0, rows, embeddings.to(whole.dtype))
