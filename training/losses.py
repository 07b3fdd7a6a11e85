"""The losses: what pulls offers of one product together, for each tower and for the fusion.

To add a loss, give it a configuration with `weight` and `build`, and a field in `LossConfig`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

import torch
from pytorch_metric_learning import losses as pml
from torch import nn

from training.centre_losses import ArcFaceConfig, ClassificationConfig
from training.cross_modal import CrossModalConfig, CrossModalLoss
from training.loss_ranges import check_weight
from training.pair_losses import (
    ContrastiveConfig,
    CosineConfig,
    MultiSimilarityConfig,
    TripletConfig,
)

STREAMS = ("image", "text", "fused")


@dataclass(frozen=True, kw_only=True)
class SupConConfig:
    """Supervised contrastive loss: every other row of the batch is a class of a softmax.

    Source: Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020, equation 2.

    Attributes:
        weight: Share in the sum of losses, 0 or more; 0 leaves it out.
        temperature: Divisor of the cosines, above 0.

    Raises:
        ValueError: If a value is out of range.
    """

    weight: float = 1.0
    temperature: float = 0.1

    def __post_init__(self) -> None:
        """Checks the ranges."""
        check_weight("supcon", self.weight)
        if self.temperature <= 0:
            raise ValueError(f"loss.supcon.temperature must be above 0, got {self.temperature}")

    def build(self, *, group_count: int, embedding_dim: int) -> nn.Module:
        """Builds the loss over embeddings (B, D) and labels; it has no weights of its own."""
        del group_count, embedding_dim
        return pml.SupConLoss(temperature=self.temperature)


@dataclass(frozen=True, kw_only=True)
class StreamWeights:
    """How much each embedding counts in the loss.

    Attributes:
        image: Weight of the image embedding, 0 or more.
        text: Weight of the text embedding, 0 or more.
        fused: Weight of the fused embedding, 0 or more.

    Raises:
        ValueError: If a weight is negative or all are zero.
    """

    image: float = 1.0
    text: float = 1.0
    fused: float = 1.0

    def __post_init__(self) -> None:
        """Checks the ranges."""
        for name in STREAMS:
            check_weight(f"streams.{name}", getattr(self, name))
        if self.image == self.text == self.fused == 0:
            raise ValueError("loss.streams must have a weight above 0")


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """What is minimised: a weighted sum of losses on each weighted stream.

    Attributes:
        streams: Weight of each embedding.
        arcface: Margin against learnt centres.
        supcon: Contrast within the batch.
        triplet: Order within triplets of the batch.
        multi_similarity: Soft maxima over mined pairs of the batch.
        contrastive: Distance within pairs of the batch.
        cosine: Cosine within pairs of the batch.
        classification: Softmax over learnt centres, without a margin.
        cross_modal: Contrast of each row's image with its text, once for both streams.
        modality_dropout: Chance that a row loses its image, and the same chance that it loses its
            text, before the two are fused; 0 to 0.5.

    Raises:
        ValueError: If a value is out of range.
    """

    streams: StreamWeights = field(default_factory=StreamWeights)
    arcface: ArcFaceConfig = field(default_factory=ArcFaceConfig)
    supcon: SupConConfig = field(default_factory=SupConConfig)
    triplet: TripletConfig = field(default_factory=TripletConfig)
    multi_similarity: MultiSimilarityConfig = field(default_factory=MultiSimilarityConfig)
    contrastive: ContrastiveConfig = field(default_factory=ContrastiveConfig)
    cosine: CosineConfig = field(default_factory=CosineConfig)
    classification: ClassificationConfig = field(default_factory=ClassificationConfig)
    cross_modal: CrossModalConfig = field(default_factory=CrossModalConfig)
    modality_dropout: float = 0.2

    def __post_init__(self) -> None:
        """Checks the ranges."""
        if not 0 <= self.modality_dropout <= 0.5:
            raise ValueError(f"loss.modality_dropout must be 0 to 0.5, got {self.modality_dropout}")
        if not self.weights() and self.cross_modal.weight == 0:
            raise ValueError("loss needs a part with a weight above 0")

    def weights(self) -> dict[str, float]:
        """Returns the weight of each loss that takes part in the streams, by its field name."""
        parts = {f.name: getattr(self, f.name) for f in fields(self)}
        weighted = {name: part.weight for name, part in parts.items() if hasattr(part, "build")}
        return {name: weight for name, weight in weighted.items() if weight > 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One kind of embedding of a batch.

    Attributes:
        embeddings: Unit rows, float32 (B, D).
        present: Rows that have the modality, bool (B,); the others' embeddings mean nothing.
    """

    embeddings: torch.Tensor
    present: torch.Tensor


class StreamLosses(nn.Module):
    """The configured losses on each stream.

    Args:
        config: Losses and weights.
        group_count: Labels are 0 to below this.
        embedding_dims: Length of the embedding of each stream.
    """

    def __init__(
        self, config: LossConfig, *, group_count: int, embedding_dims: Mapping[str, int]
    ) -> None:
        """Builds each loss once per stream."""
        super().__init__()
        self.loss_weights = config.weights()
        self.stream_weights = {
            name: getattr(config.streams, name)
            for name in STREAMS
            if getattr(config.streams, name) > 0
        }
        self.cross_modal_weight = config.cross_modal.weight
        # No loss, no weight: one without a gradient would stop distributed training.
        self.cross_modal = CrossModalLoss(config.cross_modal) if self.cross_modal_weight else None
        self.parts = nn.ModuleDict(
            {
                stream: nn.ModuleDict(
                    {
                        name: getattr(config, name).build(
                            group_count=group_count, embedding_dim=embedding_dims[stream]
                        )
                        for name in self.loss_weights
                    }
                )
                for stream in self.stream_weights
            }
        )

    def forward(
        self, streams: Mapping[str, Stream], labels: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Returns each stream's loss, "cross_modal" if weighted, and their weighted sum "total".

        Args:
            streams: The embeddings, by stream name.
            labels: Group number of each row, int64 (B,).
        """
        values: dict[str, torch.Tensor] = {}
        for name in self.stream_weights:
            values[name] = self._stream_loss(name, streams[name], labels)
        values["total"] = sum(
            (self.stream_weights[name] * value for name, value in values.items()),
            start=torch.zeros((), device=labels.device),
        )
        if self.cross_modal is not None:
            image, text = streams["image"], streams["text"]
            both = image.present & text.present
            values["cross_modal"] = self.cross_modal(
                image.embeddings[both], text.embeddings[both], labels[both]
            )
            values["total"] = values["total"] + self.cross_modal_weight * values["cross_modal"]
        return values

    def _stream_loss(self, name: str, stream: Stream, labels: torch.Tensor) -> torch.Tensor:
        rows, row_labels = stream.embeddings[stream.present], labels[stream.present]
        # Every weight must get a gradient in every step, or distributed training waits forever.
        total = 0.0 * stream.embeddings.sum()
        for part, loss in self.parts[name].items():  # type: ignore[operator]
            if len(rows):
                total = total + self.loss_weights[part] * loss(rows, row_labels)
            else:
                total = total + sum(0.0 * p.sum() for p in loss.parameters())
        return total


def drop_modalities(
    has_image: torch.Tensor,
    has_text: torch.Tensor,
    probability: float,
    generator: torch.Generator | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Drops the image of some rows and the text of others; no row loses its last modality.

    Args:
        has_image: Rows with an image, bool (B,).
        has_text: Rows with a text, bool (B,).
        probability: Chance to drop the image, and chance to drop the text, 0 to 0.5.
        generator: Source of randomness, on the device of the masks.

    Returns:
        What is left of both masks.
    """
    draw = torch.rand(has_image.shape, generator=generator, device=has_image.device)
    both = has_image & has_text
    drop_image = both & (draw < probability)
    drop_text = both & (draw >= 1.0 - probability)
    return has_image & ~drop_image, has_text & ~drop_text
