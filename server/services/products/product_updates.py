"""Updates of some fields of a product: the others stay, and only what changes is embedded."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from google.protobuf import field_mask_pb2

from twinshelf.server.catalogue.catalogue import Catalogue
from twinshelf.server.catalogue.product_record import (
    NO_IMAGES,
    ChangeableProduct,
    NewProduct,
    ProductVector,
    Stored,
)
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.encoder import EncoderInput
from twinshelf.server.encoders.modalities import Pattern
from twinshelf.server.errors import (
    CatalogueStaleError,
    EncoderChangedError,
    InvalidRequestError,
    ProductChangedError,
    ProductNotFoundError,
)
from twinshelf.server.services.conversions import (
    embedded_text,
    product_from_stored,
    record_from_product,
)
from twinshelf.server.services.embedding.serving_encoders import ServingEncoders
from twinshelf.server.services.products.product_embedder import ProductEmbedder
from twinshelf.server.services.products.product_photos import (
    FURTHER_IMAGES,
    check_first_image,
    check_further_images,
)
from twinshelf.server.services.products.thumbnails import Thumbnails
from twinshelf.server.services.requests import (
    Limits,
    check_product,
    check_product_id,
)
from twinshelf.v1 import product_pb2

FIELDS = (
    *("title", "description", "category", "brand", "seller", "price", "attributes", "image"),
    *("image_uri", FURTHER_IMAGES),
)
# What no encoder can read.
_EMBEDDED_BY_NONE = frozenset({"seller", "price", "image_uri"})
_ATTRIBUTE = "attributes."
_ATTEMPTS = 8
_MASK = "update_mask"


def check_mask(mask: field_mask_pb2.FieldMask, limits: Limits) -> None:
    """Checks which fields an update names.

    Raises:
        InvalidRequestError: If it names none, too many, or one that cannot be updated.
    """
    if not mask.paths:
        raise InvalidRequestError("update_mask must name a field, got none", field=_MASK)
    # As many attributes may go as come. A million names would hold up everybody.
    limit = len(FIELDS) + 2 * limits.attribute_count
    if len(mask.paths) > limit:
        raise InvalidRequestError(
            f"update_mask must name at most {limit} fields, got {len(mask.paths)}", field=_MASK
        )
    for path in mask.paths:
        is_attribute = path.startswith(_ATTRIBUTE) and path != _ATTRIBUTE
        if path not in FIELDS and not is_attribute:
            raise InvalidRequestError(
                f"update_mask must name {', '.join(FIELDS)} or attributes.NAME, got {path[:64]!r}",
                field=_MASK,
            )


def apply_update(
    stored: product_pb2.Product, change: product_pb2.Product, mask: field_mask_pb2.FieldMask
) -> None:
    """Writes the fields that a mask names from one product into another."""
    for path in mask.paths:
        if path == "attributes":
            stored.attributes.clear()
            stored.attributes.update(change.attributes)
        elif path.startswith(_ATTRIBUTE):
            name = path.removeprefix(_ATTRIBUTE)
            stored.attributes.pop(name, None)
            if name in change.attributes:
                stored.attributes[name] = change.attributes[name]
        elif path == FURTHER_IMAGES:
            del stored.further_images[:]
            stored.further_images.extend(change.further_images)
        elif path == "price" and not change.HasField("price"):
            stored.ClearField("price")
        else:
            setattr(stored, path, getattr(change, path))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Update:
    """A product before and after an update."""

    stored: ChangeableProduct
    before: product_pb2.Product
    after: product_pb2.Product
    keeps_first: bool
    keeps_further: bool


class ProductUpdater:
    """Reads, changes and writes products. One for the whole server."""

    def __init__(
        self,
        *,
        encoders: ServingEncoders,
        catalogue: Catalogue,
        limits: Limits,
        embedder: ProductEmbedder,
        thumbnails: Thumbnails,
    ) -> None:
        """Takes the parts that it works with."""
        self._encoders = encoders
        self._catalogue = catalogue
        self._limits = limits
        self._embedder = embedder
        self._thumbnails = thumbnails

    async def update(
        self, change: product_pb2.Product, mask: field_mask_pb2.FieldMask
    ) -> tuple[NewProduct, Stored, EncoderContract]:
        """Changes the fields of a stored product that a mask names.

        Returns:
            What was written, what came of it, and the contract of the serving encoder.

        Raises:
            TwinshelfError: If it cannot; see the proto for the kinds.
        """
        check_product_id(change.product_id, "product.product_id")
        check_mask(mask, self._limits)
        # What others write between the reading and the writing is never lost: it is begun anew.
        for _ in range(_ATTEMPTS):
            stored = await self._catalogue.changeable(change.product_id)
            if stored is None:
                raise ProductNotFoundError(
                    f"the catalogue has no product {change.product_id!r} to update",
                    facts={"product_id": change.product_id},
                )
            contract = self._encoders.contract
            new = await self._make(stored, change, mask, contract)
            try:
                return new, await self._catalogue.upsert(new), contract
            except (ProductChangedError, EncoderChangedError):
                continue
        raise ProductChangedError(
            f"product {change.product_id!r} was changed by others {_ATTEMPTS} times; repeat"
        )

    async def _make(
        self,
        stored: ChangeableProduct,
        change: product_pb2.Product,
        mask: field_mask_pb2.FieldMask,
        contract: EncoderContract,
    ) -> NewProduct:
        before = product_from_stored(stored.product)
        after = product_pb2.Product()
        after.CopyFrom(before)
        apply_update(after, change, mask)
        has_new_image = "image" in mask.paths
        keeps_image = stored.product.pattern.has_image and not has_new_image
        check_product(after, self._limits, "product", has_stored_image=keeps_image)
        check_further_images(after, self._limits)
        keeps_further = FURTHER_IMAGES not in mask.paths
        check_first_image(
            len(stored.shown.further_images) if keeps_further else len(after.further_images),
            has_image=keeps_image or bool(after.image),
        )
        update = _Update(
            stored=stored,
            before=before,
            after=after,
            keeps_first=not has_new_image,
            keeps_further=keeps_further,
        )
        vectors = await self._embedder.embed_with_beside(
            after.product_id, contract, lambda each: self._embed(update, each)
        )
        return NewProduct(
            record=record_from_product(after),
            vectors=vectors or (stored.shown,),
            # Without new vectors nothing that is embedded has changed.
            keeps_others=not vectors or _EMBEDDED_BY_NONE.issuperset(mask.paths),
            thumbnail=await self._thumbnails.make(after.image) if has_new_image else None,
            expected_change=stored.change_sequence,
        )

    async def _embed(self, update: _Update, contract: EncoderContract) -> ProductVector | None:
        """Returns what an encoder makes of the product now; None where it never embedded it.

        Raises:
            CatalogueStaleError: If it never embedded what is kept of it.
        """
        prefix = contract.text_fields.passage_prefix
        texts = [embedded_text(each, contract, prefix) for each in (update.before, update.after)]
        is_same_text = texts[0] == texts[1]
        old = update.stored.vectors.get(contract.digest)
        if update.keeps_first and update.keeps_further and is_same_text:
            return old
        last = old or update.stored.shown
        kept = Pattern.of(
            image=last.pattern.has_image and update.keeps_first,
            text=last.pattern.has_text and is_same_text,
        )
        further = last.further_images if update.keeps_further else NO_IMAGES
        if (kept or len(further)) and old is None:
            raise _stale(update.stored, contract)
        made = await self._embed_first(update, contract, None if is_same_text else texts[1], kept)
        if update.after.further_images:
            further = await self._embedder.embed_further(contract, update.after.further_images)
        return replace(made, further_images=further)

    async def _embed_first(
        self, update: _Update, contract: EncoderContract, text: str | None, kept: Pattern
    ) -> ProductVector:
        """Returns what is kept of the stored vector and what is new, without further photos."""
        old = update.stored.vectors.get(contract.digest)
        image = update.after.image or None
        vector = np.zeros(contract.dimension, dtype=np.float16)
        if old is not None:
            _copy_halves(old.vector, vector, kept, contract)
        if image is None and text is None:
            if kept is Pattern.NONE:
                raise InvalidRequestError("the update leaves nothing to match by", field="product")
            return ProductVector(digest=contract.digest, pattern=kept, vector=vector)
        try:
            made = await self._embedder.embed_row(contract, EncoderInput(image=image, text=text))
        except InvalidRequestError:
            # As beside a new photo: a text without a word that the encoder knows is no text.
            if image is not None or not kept.has_image:
                raise
            return ProductVector(digest=contract.digest, pattern=kept, vector=vector)
        _copy_halves(made.vector, vector, made.pattern, contract)
        return ProductVector(
            digest=contract.digest, pattern=Pattern(kept | made.pattern), vector=vector
        )


def _copy_halves(
    source: npt.NDArray[np.float16],
    target: npt.NDArray[np.float16],
    pattern: Pattern,
    contract: EncoderContract,
) -> None:
    """Copies the halves of the modalities of a pattern from one stored vector into another."""
    if pattern.has_image:
        target[: contract.image_dimension] = source[: contract.image_dimension]
    if pattern.has_text:
        target[contract.image_dimension :] = source[contract.image_dimension :]


def _stale(stored: ChangeableProduct, contract: EncoderContract) -> CatalogueStaleError:
    product_id, digest = stored.product.record.product_id, stored.product.digest
    return CatalogueStaleError(
        f"product {product_id!r} was embedded by the encoder {digest}, but {contract.digest} "
        "serves; send the whole product",
        facts={"catalogue_digest": digest, "serving_digest": contract.digest},
    )
