"""The losses: what pulls offers of one product together, for each tower and for the fusion."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn

from twinshelf.training.losses.loss_config import LARGEST_SCALE, STREAMS, LossConfig
from twinshelf.training.losses.metric_losses import build_term


class CrossModalLoss(nn.Module):
    """Symmetric softmax between the images and the texts of a batch, with a learnt logit_scale.

    Other rows of the same group are neither positives nor negatives: they are left out.

    Source: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision",
    ICML 2021, figure 3.

    Args:
        temperature: Divisor of the cosines that training begins with, above 0.
    """

    def __init__(self, temperature: float) -> None:
        """Sets the logit_scale, kept as its logarithm so that it stays positive."""
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)))

    def forward(
        self, image: torch.Tensor, text: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        """Returns the mean loss over both directions.

        Args:
            image: Unit rows (B, D).
            text: Unit rows (B, D), of the same products.
            labels: Group number of each row, int64 (B,).

        Returns:
            A scalar; 0 for less than two rows.
        """
        # Cut outside of the graph: a scale at the limit must still learn to be smaller.
        self.log_scale.data.clamp_(max=math.log(LARGEST_SCALE))
        scale = self.log_scale.exp()
        if len(labels) < 2:
            return 0.0 * (scale + image.sum() + text.sum())
        logits = scale * image @ text.T  # (B, B)
        alike = labels[:, None] == labels[None, :]
        alike.fill_diagonal_(False)
        logits = logits.masked_fill(alike, -torch.inf)
        right = torch.arange(len(labels), device=labels.device)
        return 0.5 * (F.cross_entropy(logits, right) + F.cross_entropy(logits.T, right))


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
        super().__init__()
        self.term_weights = [term.weight for term in config.terms]
        weights = {name: getattr(config.streams, name) for name in STREAMS}
        self.stream_weights = {name: weight for name, weight in weights.items() if weight > 0}
        self.terms = nn.ModuleDict(
            {
                stream: nn.ModuleList(
                    build_term(term, group_count=group_count, embedding_dim=embedding_dims[stream])
                    for term in config.terms
                )
                for stream in self.stream_weights
            }
        )
        self.cross_modal_weight = config.cross_modal.weight
        # No loss, no weight: one without a gradient would stop distributed training.
        self.cross_modal = (
            CrossModalLoss(config.cross_modal.temperature) if self.cross_modal_weight else None
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
        # Every weight must get a gradient in every step, that of a stream without a loss as well:
        # distributed training waits for it.
        no_loss = torch.stack([stream.embeddings[:0].sum() for stream in streams.values()]).sum()
        values["total"] = sum(
            (self.stream_weights[name] * value for name, value in values.items()), start=no_loss
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
        total = torch.zeros((), device=labels.device)
        for weight, term in zip(self.term_weights, self.terms[name].children(), strict=True):
            total = total + sum(0.0 * centres.sum() for centres in term.parameters())
            if len(rows):
                total = total + weight * term(rows, row_labels)
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


def gather_rows(*rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Returns the rows of all processes, in the order of their ranks; each gives as many.

    So every process has the same loss, that of one process with the whole batch. Only a process's
    own rows have a gradient, times the number of processes: the mean over them, which distributed
    training takes, is then the gradient of that one process.

    Args:
        *rows: Values of this process, (B, ...) each; returned as they are where it is alone.
    """
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return rows
    return tuple(map(_gather, rows))


def _gather(own: torch.Tensor) -> torch.Tensor:
    """Returns the (P · B, ...) values of all P processes."""
    count = dist.get_world_size()
    parts = [torch.empty_like(own) for _ in range(count)]
    dist.all_gather(parts, own.detach().contiguous())
    # The added term is zero; its gradient is not.
    parts[dist.get_rank()] = own + (count - 1) * (own - own.detach()) if own.requires_grad else own
    return torch.cat(parts)
