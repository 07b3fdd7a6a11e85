"""What the catalogue keeps of a product, and what writing it led to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from server.encoders.modalities import Pattern


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductRecord:
    """The fields of a product, as its owner wrote them.

    Attributes:
        product_id: Identifier chosen by the caller, unique in the catalogue.
        title: Name as a shop would print it.
        description: Long text.
        category: Category path or name.
        brand: Brand or maker.
        seller: Seller or source.
        price: Zero or more; None when unknown.
        attributes: Further properties, name to value.
        image_uri: Where the photo can be found again; never opened here.
    """

    product_id: str
    title: str = ""
    description: str = ""
    category: str = ""
    brand: str = ""
    seller: str = ""
    price: float | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    image_uri: str = ""

    @property
    def size_bytes(self) -> int:
        """Bytes of UTF-8 that its texts take."""
        texts = (self.product_id, self.title, self.description, self.category, self.brand)
        pairs = (text for pair in self.attributes.items() for text in pair)
        return sum(len(text.encode()) for text in (*texts, self.seller, self.image_uri, *pairs))


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredProduct:
    """A product as it stands in the catalogue.

    Attributes:
        record: Its fields.
        pattern: Modalities that are embedded.
        digest: Digest of the encoder that embedded it.
        update_time_us: When it was last written, microseconds since 1970, UTC.
    """

    record: ProductRecord
    pattern: Pattern
    digest: str
    update_time_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewProduct:
    """A product that is about to be written.

    Attributes:
        record: Its fields.
        pattern: Modalities that are embedded.
        vector: (D,) stored vector; see `server.encoders.embedding`.
        digest: Digest of the encoder that made the vector.

    Raises:
        ValueError: If the vector is not a finite row, or nothing is embedded.
    """

    record: ProductRecord
    pattern: Pattern
    vector: npt.NDArray[np.float16]
    digest: str

    def __post_init__(self) -> None:
        """Checks the values."""
        # A NaN would be taken by the index without a word, and never be found again.
        if self.vector.ndim != 1 or not np.isfinite(self.vector).all():
            raise ValueError(f"vector must be a finite row, got shape {self.vector.shape}")
        if self.pattern is Pattern.NONE:
            raise ValueError("a product needs an embedded photo or text")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A product was written.

    Attributes:
        product_number: Internal number of the product; never used again for another.
        vector_version: Counts the vectors that the product has had.
        replaced: Whether a product of this id stood there before.
        vector_changed: Whether the index must learn a new vector.
        old: Digest and pattern before, or None.
    """

    product_number: int
    vector_version: int
    replaced: bool
    vector_changed: bool
    old: tuple[str, Pattern] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """Products were removed.

    Attributes:
        removed: Internal number, vector version, digest and pattern of each.
        missing: Identifiers that were not there.
    """

    removed: tuple[tuple[int, int, str, Pattern], ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorBlock:
    """Vectors of N products.

    Attributes:
        product_numbers: (N,) internal numbers.
        product_ids: N identifiers; empty when they were not asked for.
        vector_versions: (N,) versions.
        vectors: (N, D) stored vectors.
    """

    product_numbers: npt.NDArray[np.int64]
    product_ids: tuple[str, ...]
    vector_versions: npt.NDArray[np.int64]
    vectors: npt.NDArray[np.float16]
