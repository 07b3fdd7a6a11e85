"""What the catalogue keeps of a product, and what writing it led to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
import numpy.typing as npt

from twinshelf.server.encoders.embedding import OfferEmbedding
from twinshelf.server.encoders.modalities import Pattern

# A key tells the product, the photo, and the version of its vector, which begins anew after a
# million.
VERSION_BITS, PHOTO_BITS = 20, 4
PHOTO_SHIFT = VERSION_BITS
GREATEST_FURTHER_COUNT = (1 << PHOTO_BITS) - 1
NO_IMAGES: npt.NDArray[np.float16] = np.empty((0, 0), dtype=np.float16)
NO_IMAGES.flags.writeable = False


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
        pairs = chain.from_iterable(self.attributes.items())
        return len("".join((*texts, self.seller, self.image_uri, *pairs)).encode())


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
class EmbeddedProduct:
    """A product and what its encoder made of it.

    Attributes:
        product: The product.
        embedding: Its stored embedding; None when another encoder than the one asked for made it,
            or its row is damaged.
        further_count: Photos after the first that the embedding has beside it.
    """

    product: StoredProduct
    embedding: OfferEmbedding | None
    further_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductVector:
    """What one encoder made of a product.

    Attributes:
        digest: Digest of the encoder.
        pattern: Modalities that are embedded.
        vector: (D,) stored vector; see `server.encoders.embedding`.
        further_images: (P, I) embeddings of the photos after the first, up to 15.

    Raises:
        ValueError: If the vector is not a finite row, further photos are no finite rows, too many
            or without a first, or nothing is embedded.
    """

    digest: str
    pattern: Pattern
    vector: npt.NDArray[np.float16]
    further_images: npt.NDArray[np.float16] = field(default_factory=lambda: NO_IMAGES)

    def __post_init__(self) -> None:
        """Checks the values."""
        # A NaN would be taken by the index without a word, and never be found again.
        if self.vector.ndim != 1 or not np.isfinite(self.vector).all():
            raise ValueError(f"vector must be a finite row, got shape {self.vector.shape}")
        if self.pattern is Pattern.NONE:
            raise ValueError("a product needs an embedded photo or text")
        images = self.further_images
        if images.shape[0] == 0:
            return
        if images.ndim != 2 or not np.isfinite(images).all():
            raise ValueError(f"further_images must be finite rows, got shape {images.shape}")
        if len(images) > (GREATEST_FURTHER_COUNT if self.pattern.has_image else 0):
            raise ValueError(f"{len(images)} further photos are too many, or lack a first")

    @property
    def rows(self) -> npt.NDArray[np.float16]:
        """Vectors (1 + P, D) of all photos, the first photo's first."""
        if len(self.further_images) == 0:
            return self.vector[np.newaxis]
        rows = np.tile(self.vector, (1 + len(self.further_images), 1))
        rows[1:, : self.further_images.shape[1]] = self.further_images
        return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeableProduct:
    """A product as it stands in the catalogue, with what an update of it builds upon.

    Attributes:
        product: The product.
        vectors: What encoders made of it, by their digests; that of `product.digest` is there.
        change_sequence: Number of the change that wrote it last.
    """

    product: StoredProduct
    vectors: Mapping[str, ProductVector]
    change_sequence: int

    @property
    def shown(self) -> ProductVector:
        """What the encoder made of it that `product` names."""
        return self.vectors[self.product.digest]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnembeddedProduct:
    """A product that an encoder has not embedded yet.

    Attributes:
        product_number: Its internal number.
        product: The product, with what another encoder embedded of it.
        further_count: Photos after the first that this other one embedded.
        change_sequence: Number of the change that wrote it last.
    """

    product_number: int
    product: StoredProduct
    further_count: int
    change_sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewProduct:
    """A product that is about to be written.

    Attributes:
        record: Its fields.
        vectors: What encoders made of it, one or more; first that of the one that serves.
        keeps_others: Whether the vectors of all other encoders stay, as nothing that is embedded
            has changed. Otherwise they end, and these encoders have yet to embed the product.
        thumbnail: The first photo as a small JPEG; empty for none, None leaves what is stored.
        expected_change: The change that must have written the stored product last, as this one was
            made from it; None takes any, and none at all.
    """

    record: ProductRecord
    vectors: tuple[ProductVector, ...]
    keeps_others: bool = False
    thumbnail: bytes | None = b""
    expected_change: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVector:
    """What an encoder made of a stored product, beside what others did.

    Attributes:
        product_id: Identifier of the product.
        made: The vector.
        expected_change: The change that must have written the product last, as this was made of
            what it wrote.
    """

    product_id: str
    made: ProductVector
    expected_change: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorState:
    """The vectors of a product by one encoder, as a write found or left them.

    Attributes:
        pattern: Modalities that are embedded.
        version: Counts the vectors that the product has had.
        further_count: Photos after the first.
    """

    pattern: Pattern
    version: int
    further_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorChange:
    """Vectors of one encoder that a write began, ended, or put in the place of others.

    Attributes:
        product_number: Internal number of the product.
        digest: Digest of the encoder.
        old: What ended; None without any.
        new: What began; None without any.
        rows: (1 + P, D) the new vectors; empty without any.
        checksums: (1 + P,) CRC-32 of each of them.
    """

    product_number: int
    digest: str
    old: VectorState | None
    new: VectorState | None = None
    rows: npt.NDArray[np.float16] = field(default_factory=lambda: NO_IMAGES)
    checksums: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A product, or a vector of one, was written.

    Attributes:
        product_number: Internal number of the product; never used again for another.
        replaced: Whether a product of this id stood there before.
        changes: What became of its vectors; none where they are what they were.
    """

    product_number: int
    replaced: bool
    changes: tuple[VectorChange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """Products were removed.

    Attributes:
        removed: Their internal numbers.
        changes: The vectors that ended.
        missing: Identifiers that were not there.
    """

    removed: tuple[int, ...]
    changes: tuple[VectorChange, ...]
    missing: tuple[str, ...]

    @classmethod
    def joined(cls, parts: Sequence[Deleted]) -> Deleted:
        """Returns what was removed step by step."""
        return cls(
            removed=tuple(chain.from_iterable(part.removed for part in parts)),
            changes=tuple(chain.from_iterable(part.changes for part in parts)),
            missing=tuple(chain.from_iterable(part.missing for part in parts)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """Vectors of an encoder were removed.

    Attributes:
        row_count: Rows that went, also those without a vector; 0 when none was left.
        changes: The vectors that ended.
    """

    row_count: int
    changes: tuple[VectorChange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductChange:
    """The last change of a product, or one of its deletions.

    Attributes:
        sequence: Number of the change.
        product_id: Identifier of the product.
        is_deletion: Whether the product was removed.
        product: The product as it was written; None for a deletion, or where its row is damaged.
    """

    sequence: int
    product_id: str
    is_deletion: bool
    product: StoredProduct | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorTable:
    """Vectors of N products and what tells them apart.

    Attributes:
        product_numbers: (N,) internal numbers.
        vector_versions: (N,) versions.
        checksums: (N,) CRC-32 of the vectors.
        vectors: (N, D) stored vectors.
    """

    product_numbers: npt.NDArray[np.int64]
    vector_versions: npt.NDArray[np.int64]
    checksums: npt.NDArray[np.int64]
    vectors: npt.NDArray[np.float16]

    def __post_init__(self) -> None:
        """Checks the shapes."""
        count = len(self.vectors)
        for column in (self.product_numbers, self.vector_versions, self.checksums):
            if column.shape != (count,):
                raise ValueError(f"columns must be ({count},), got {column.shape}")

    def __len__(self) -> int:
        """Counts the vectors."""
        return len(self.vectors)

    def take(self, rows: npt.NDArray[np.int64]) -> VectorTable:
        """Returns the chosen rows (M,)."""
        return VectorTable(
            product_numbers=self.product_numbers[rows],
            vector_versions=self.vector_versions[rows],
            checksums=self.checksums[rows],
            vectors=self.vectors[rows],
        )

    @classmethod
    def joined(cls, tables: Sequence[VectorTable]) -> VectorTable:
        """Returns the rows of some tables, one after the other."""
        return cls(
            product_numbers=np.concatenate([table.product_numbers for table in tables]),
            vector_versions=np.concatenate([table.vector_versions for table in tables]),
            checksums=np.concatenate([table.checksums for table in tables]),
            vectors=np.concatenate([table.vectors for table in tables]),
        )

    @property
    def keys(self) -> npt.NDArray[np.int64]:
        """Keys (N,) that tell product, photo and version."""
        return vector_keys(self.product_numbers, self.vector_versions)


def count_products(results: Iterable[object]) -> int:
    """Counts the products that writes brought, less those that they removed."""
    return sum(
        -len(result.removed)
        if isinstance(result, Deleted)
        else isinstance(result, Stored) and not result.replaced
        for result in results
    )


def photo_version(photo_number: int, vector_version: int) -> int:
    """Returns what stands for the version of a photo's vector; photo 0 is the first."""
    return photo_number << PHOTO_SHIFT | vector_version


def is_further(vector_versions: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Tells of the versions (N,) of vectors which are of photos after the first."""
    return vector_versions >> PHOTO_SHIFT > 0


def vector_keys(
    product_numbers: npt.NDArray[np.int64], vector_versions: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Joins product numbers and vector versions (N,) into one key for each version of a vector.

    A key tells the product, so that no table of keys is needed.
    """
    return product_numbers << PHOTO_BITS + VERSION_BITS | vector_versions
