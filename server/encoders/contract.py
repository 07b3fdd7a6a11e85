"""The encoder contract: what `export` stamped into the model repository for its readers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from twinshelf.server.encoders.category_curve import CategoryCurve
from twinshelf.server.encoders.match_probability import MatchProbability
from twinshelf.server.encoders.modalities import Pattern, Weights
from twinshelf.server.encoders.pair_curve import PairCurve
from twinshelf.server.errors import EncoderContractError

PARAMETER = "twinshelf_contract"
READABLE_VERSION = 3
# Those that the service asks, one for each modality.
ENSEMBLES = {Pattern.IMAGE: "image_encoder", Pattern.TEXT: "text_encoder"}
# Of files, groups, records and units: those that fields are joined with.
_NO_SEPARATORS = str.maketrans("\x1c\x1d\x1e\x1f", "    ")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFields:
    """How the text fields of an offer or a product become one text.

    Attributes:
        names: Fields in the order in which they are joined.
        query_prefix: Put before the text of an offer.
        passage_prefix: Put before the text of a product.
    """

    names: tuple[str, ...]
    query_prefix: str
    passage_prefix: str

    def join(self, fields: Mapping[str, str | Mapping[str, str]], *, prefix: str) -> str | None:
        """Joins fields into the text that is embedded; None when all of them are blank.

        They are joined as they are: the preprocessing that travels with the model takes them apart
        at ASCII's separators of files, groups, records and units, and cleans them one by one; a
        blank stands for those of the caller.
        Attributes are sorted by name, because a map carries no order over the wire.
        """
        parts = []
        for name in self.names:
            value = fields.get(name, "")
            if not isinstance(value, str):
                value = "\x1e".join(
                    f"{key.translate(_NO_SEPARATORS)}\x1f{text.translate(_NO_SEPARATORS)}"
                    for key, text in sorted(value.items())
                    if key.strip() and text.strip()
                )
            else:
                value = value.translate(_NO_SEPARATORS)
            if value.strip():
                parts.append(value)
        return (prefix and f"{prefix}\x1c") + "\x1d".join(parts) if parts else None


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderContract:
    """What a reader of embeddings must know of the encoder that made them.

    Attributes:
        digest: "sha256:" and 64 hex digits; embeddings of equal digests can be compared.
        version: Version in the model repository, 1 or more.
        image_dimension: Length of the photo's half of an embedding.
        text_dimension: Length of the text's half.
        fusion_weight: Weight w of the photo where a request gives none, 0 < w < 1.
        max_batch_size: Most rows that the models take at once.
        text_fields: How text fields are joined.
        match_probability: What scores mean as probabilities.
        pair_curves: What the score of two products means, by the modalities that it is made of;
            those that were not calibrated are absent.
        category_curves: What the margin of a vote for a category means, by the modalities of the
            offer; those that were not calibrated are absent.
    """

    digest: str
    version: int
    image_dimension: int
    text_dimension: int
    fusion_weight: float
    max_batch_size: int
    text_fields: TextFields
    match_probability: MatchProbability
    pair_curves: Mapping[Pattern, PairCurve] = field(default_factory=dict)
    category_curves: Mapping[Pattern, CategoryCurve] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Checks the values."""
        if not _DIGEST.fullmatch(self.digest):
            raise ValueError(f"digest must be sha256: and 64 hex digits, got {self.digest!r}")
        for name in ("version", "image_dimension", "text_dimension", "max_batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more, got {getattr(self, name)}")
        if not 0 < self.fusion_weight < 1:
            raise ValueError(f"fusion_weight must lie between 0 and 1, got {self.fusion_weight}")

    @property
    def dimension(self) -> int:
        """Length of a fused embedding."""
        return self.image_dimension + self.text_dimension

    def dimension_of(self, modality: Pattern) -> int:
        """Length of the half of a modality."""
        return self.image_dimension if modality is Pattern.IMAGE else self.text_dimension

    @property
    def weights(self) -> Weights:
        """The weights fitted when the encoder was trained."""
        return Weights(image=self.fusion_weight, text=1 - self.fusion_weight)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads the contract that `export` stamped into the ensembles.

        Raises:
            EncoderContractError: If it is malformed, or of a newer kind than this server reads.
        """
        try:
            values = json.loads(text)
            if values["contract_version"] != READABLE_VERSION:
                raise ValueError(
                    f"contract_version must be {READABLE_VERSION}, got {values['contract_version']}"
                )
            return cls(
                digest=values["digest"],
                version=int(values["encoder_version"]),
                image_dimension=int(values["image_dim"]),
                text_dimension=int(values["text_dim"]),
                fusion_weight=float(values["fusion_weight"]),
                max_batch_size=int(values["max_batch_size"]),
                text_fields=_text_fields(values["preprocessing"]),
                match_probability=MatchProbability.from_values(values["match_probability"]),
                pair_curves={
                    Pattern[name.upper()]: PairCurve.from_values(curve)
                    for name, curve in values.get("pair_curves", {}).items()
                },
                category_curves={
                    Pattern[name.upper()]: CategoryCurve.from_values(curve)
                    for name, curve in values.get("category_curves", {}).items()
                },
            )
        except KeyError as error:
            raise EncoderContractError(
                f"the contract of the encoder lacks {error}; publish the encoder again"
            ) from None
        except (ValueError, TypeError) as error:
            raise EncoderContractError(
                f"the contract of the encoder cannot be read: {error}; publish the encoder again"
            ) from None


def _text_fields(values: Mapping[str, Any]) -> TextFields:
    return TextFields(
        names=tuple(values["text_fields"]),
        query_prefix=values["query_prefix"],
        passage_prefix=values["passage_prefix"],
    )
