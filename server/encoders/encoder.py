"""The seam between the services and whoever embeds for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tritonclient.grpc.service_pb2 import ModelStatisticsResponse

from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.embedding import OfferEmbedding
from twinshelf.server.encoders.modalities import Pattern
from twinshelf.server.encoders.pair_models import PairModels
from twinshelf.server.errors import TwinshelfError


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderInput:
    """What is embedded: a photo, a text, or both.

    Attributes:
        image: Bytes of a JPEG, PNG or WebP file, or None.
        text: Joined text fields with their prefix, or None.

    Raises:
        ValueError: If both are missing.
    """

    image: bytes | None
    text: str | None

    def __post_init__(self) -> None:
        """Checks the values."""
        if self.pattern is Pattern.NONE:
            raise ValueError("an encoder input needs a photo or a text")

    @property
    def pattern(self) -> Pattern:
        """The modalities that are there."""
        return Pattern.of(image=self.image is not None, text=self.text is not None)


class Encoder(Protocol):
    """Turns photos and texts into unit embeddings. All of it runs in one event loop."""

    @property
    def contract(self) -> EncoderContract:
        """The contract of the encoder that serves now.

        Raises:
            EncoderUnavailableError: If the encoder is away.
            EncoderContractError: If the encoder that is there cannot be used.
        """

    @property
    def pairs(self) -> PairModels:
        """The pair scorer that was published beside the encoder."""

    async def refresh(self) -> EncoderContract:
        """Looks at the encoder again and returns its contract; called about once a second.

        Raises:
            EncoderUnavailableError: If the encoder is away.
            EncoderContractError: If the encoder that is there cannot be used.
            EncoderMismatchError: If it is not the version that the configuration insists on.
        """

    async def statistics(self) -> ModelStatisticsResponse | None:
        """Returns what Triton counts of its models; None where there is no Triton, or no answer."""

    async def encode(
        self, inputs: Sequence[EncoderInput], contract: EncoderContract
    ) -> list[OfferEmbedding | TwinshelfError]:
        """Embeds rows; each fails alone. Takes as long as it takes, and must not be cancelled.

        Args:
            inputs: Rows to embed; none gives an empty list.
            contract: The contract that the inputs were made for. When another encoder has taken
                over meanwhile, its rows are `EncoderChangedError`: the caller may repeat.

        Returns:
            One embedding or error per input, in order.
        """

    async def close(self) -> None:
        """Frees what the encoder holds. A repeat is safe."""
