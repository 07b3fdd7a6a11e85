"""Settings of preprocessing: saved beside the weights, and published with them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self, cast, get_args

Resize = Literal["pad", "crop", "squash"]
TEXT_FIELDS = ("title", "brand", "category", "description", "attributes")


class PreprocessingError(ValueError):
    """A photo or a text that cannot be turned into tensors; the message says what was expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreprocessingSettings:
    """How photos and texts become tensors.

    Attributes:
        image_size_px: Side of the square that the image tower reads.
        resize: What happens to a photo that is not square: "pad" keeps all of it and fills the
            rest with white, "crop" takes the middle square, "squash" stretches it.
        max_pixels: Photos of more pixels are refused before they are decoded.
        max_decode_ms: Photos whose decoding would take more time of one core, as told from their
            header, are refused before they are decoded.
        max_decode_mb: The same of memory, in megabytes besides the file itself.
        text_fields: Fields that are embedded, in the order in which they are joined.
        text_separator: What stands between two fields.
        max_text_characters: A text is cut here before it is tokenised.
        token_buckets: Token counts that texts are padded to, rising; the last is the maximum.
            Training chooses the others by the lengths of its texts.
        query_prefix: Put before the text of an offer.
        passage_prefix: Put before the text of a catalogue product.

    Raises:
        ValueError: If a value is out of range.
    """

    image_size_px: int = 224
    resize: Resize = "pad"
    max_pixels: int = 40_000_000
    max_decode_ms: int = 400
    max_decode_mb: int = 150
    text_fields: tuple[str, ...] = TEXT_FIELDS
    text_separator: str = " | "
    max_text_characters: int = 4096
    token_buckets: tuple[int, ...] = (16, 32, 64, 128)
    query_prefix: str = ""
    passage_prefix: str = ""

    def __post_init__(self) -> None:
        if not 8 <= self.image_size_px <= 2048:
            raise ValueError(f"image_size_px must be 8 to 2048, got {self.image_size_px}")
        if self.resize not in get_args(Resize):
            raise ValueError(f"resize must be one of {get_args(Resize)}, got {self.resize!r}")
        for name in ("max_pixels", "max_decode_ms", "max_decode_mb", "max_text_characters"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more, got {getattr(self, name)}")
        if unknown := set(self.text_fields) - set(TEXT_FIELDS):
            raise ValueError(f"text_fields must be among {TEXT_FIELDS}, got {sorted(unknown)}")
        buckets = self.token_buckets
        if not buckets or buckets[0] < 3 or list(buckets) != sorted(set(buckets)):
            raise ValueError(f"token_buckets must be rising counts of 3 or more, got {buckets}")

    def to_json(self) -> str:
        """Returns the settings as a JSON object with sorted keys."""
        return json.dumps(asdict(self), indent=2, sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads what `to_json` wrote.

        Raises:
            ValueError: If a key is unknown or a value is out of range.
        """
        values: dict[str, Any] = json.loads(text)
        if unknown := set(values) - {f.name for f in fields(cls)}:
            raise ValueError(f"unknown preprocessing settings: {sorted(unknown)}")
        rows = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
        return cls(**cast("dict[str, Any]", rows))
