"""What is minimised. Imports nothing heavy: classes of the loss library stand here by name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

STREAMS = ("image", "text", "fused")
LARGEST_SCALE = 100.0


@dataclass(frozen=True, kw_only=True)
class MinerConfig:
    """A miner: it chooses the pairs or triplets of a batch that count.

    Attributes:
        name: Class of `pytorch_metric_learning.miners`, such as "MultiSimilarityMiner".
        options: Arguments of the class; {name: CLASS, options: {...}} stands for an object in
            them, such as a distance.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class LossTermConfig:
    """One term of the loss on each stream.

    Attributes:
        name: Class of `pytorch_metric_learning.losses`, such as "SupConLoss"; another class by its
            dotted path.
        options: Arguments of the class, as those of a miner. `num_classes` and `embedding_size`
            are filled in.
        weight: Share in the sum of losses, above 0.
        miner: Chooses the pairs or triplets that count; null takes all.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    weight: Annotated[float, "above 0"] = 1.0
    miner: MinerConfig | None = None


@dataclass(frozen=True, kw_only=True)
class StreamWeights:
    """How much each embedding counts in the loss.

    Attributes:
        image: Weight of the image embedding, 0 or more.
        text: Weight of the text embedding, 0 or more.
        fused: Weight of the fused embedding, 0 or more.

    Raises:
        ValueError: If all weights are zero.
    """

    image: Annotated[float, "0 or more"] = 1.0
    text: Annotated[float, "0 or more"] = 1.0
    fused: Annotated[float, "0 or more"] = 1.0

    def __post_init__(self) -> None:
        if self.image == self.text == self.fused == 0:
            raise ValueError("loss.streams must have a weight above 0")


@dataclass(frozen=True, kw_only=True)
class CrossModalConfig:
    """Contrast of each row's image with its text.

    Attributes:
        weight: Share in the sum of losses, 0 or more; 0 leaves it out.
        temperature: Divisor of the cosines that training begins with, 0.01 or more; its inverse,
            logit_scale, is learnt, up to 100.
    """

    weight: Annotated[float, "0 or more"] = 0.0
    temperature: Annotated[float, f"{1 / LARGEST_SCALE} or more"] = 0.07


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """What is minimised: a weighted sum of terms on each weighted stream.

    Attributes:
        terms: Losses of pytorch-metric-learning; a list given later takes the place of an earlier
            one.
        streams: Weight of each embedding.
        cross_modal: Contrast of each row's image with its text, once for both streams.
        modality_dropout: Chance that a row loses its image, and the same chance that it loses its
            text, before the two are fused; 0 to 0.5.

    Raises:
        ValueError: If there is nothing to minimise.
    """

    terms: tuple[LossTermConfig, ...] = (
        LossTermConfig(name="SupConLoss", options={"temperature": 0.1}),
    )
    streams: StreamWeights = field(default_factory=StreamWeights)
    cross_modal: CrossModalConfig = field(default_factory=CrossModalConfig)
    modality_dropout: Annotated[float, "0 to 0.5"] = 0.2

    def __post_init__(self) -> None:
        if not self.terms and self.cross_modal.weight == 0:
            raise ValueError("loss needs a term, or a cross_modal.weight above 0")
