"""Updates of some fields of a product: the others stay, and only what changes is embedded."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from google.protobuf import field_mask_pb2

from twinshelf.server.catalogue.catalogue import Catalogue
from twinshelf.server.catalogue.product_record import ChangeableProduct, NewProduct, Stored
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.encoder import Encoder, EncoderInput
from twinshelf.server.encoders.modalities import Pattern
from twinshelf.server.errors import (
    CatalogueStaleError,
    InvalidRequestError,
    ProductChangedError,
    ProductNotFoundError,
)
from twinshelf.server.services.conversions import (
    embedded_text,
    product_from_stored,
    record_from_product,
)
from twinshelf.server.services.embedder import Embedder
from twinshelf.server.services.product_photos import (
    FURTHER_IMAGES,
    check_first_image,
    check_further_images,
    embed_further_images,
)
from twinshelf.server.services.requests import (
    Limits,
    check_product,
    check_product_id,
)
from twinshelf.server.services.thumbnails import Thumbnails
from twinshelf.v1 import product_pb2

FIELDS = (
    *("title", "description", "category", "brand", "seller", "price", "attributes", "image"),
    *("image_uri", FURTHER_IMAGES),
)
_ATTRIBUTE = "attributes."
_ATTEMPTS = 8
_MASK = "update_mask"


def check_mask(mask: field_mask_pb2.FieldMask) -> None:
    """Checks which fields an update names.

    Raises:
        InvalidRequestError: If it names none, or one that cannot be updated.
    """
    if not mask.paths:
        raise InvalidRequestError("update_mask must name a field, got none", field=_MASK)
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


class ProductUpdater:
    """Reads, changes and writes products. One for the whole server."""

    def __init__(
        self,
        *,
        encoder: Encoder,
        catalogue: Catalogue,
        limits: Limits,
        embedder: Embedder,
        thumbnails: Thumbnails,
    ) -> None:
        """Takes the parts that it works with."""
        self._encoder = encoder
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
        check_mask(mask)
        # What others write between the reading and the writing is never lost: it is begun anew.
        for _ in range(_ATTEMPTS):
            stored = await self._catalogue.changeable(change.product_id)
            if stored is None:
                raise ProductNotFoundError(
                    f"the catalogue has no product {change.product_id!r} to update",
                    facts={"product_id": change.product_id},
                )
            contract = self._encoder.contract
            new = await self._make(stored, change, mask, contract)
            try:
                return new, await self._catalogue.upsert(new), contract
            except ProductChangedError:
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
        before, pattern = product_from_stored(stored.product), stored.product.pattern
        after = product_pb2.Product()
        after.CopyFrom(before)
        apply_update(after, change, mask)
        keeps_image = pattern.has_image and "image" not in mask.paths
        check_product(after, self._limits, "product", has_stored_image=keeps_image)
        check_further_images(after, self._limits)
        further = stored.further_images[: 0 if FURTHER_IMAGES in mask.paths else None]
        check_first_image(
            len(further) + len(after.further_images), has_image=keeps_image or bool(after.image)
        )
        prefix = contract.text_fields.passage_prefix
        texts = [embedded_text(product, contract, prefix) for product in (before, after)]
        text = texts[1] if texts[0] != texts[1] else None
        digest, vector = stored.product.digest, stored.vector
        if {"image", FURTHER_IMAGES} & set(mask.paths) or texts[0] != texts[1]:
            keeps_text = pattern.has_text and texts[0] == texts[1]
            if (keeps_image or keeps_text or len(further)) and digest != contract.digest:
                raise _stale(stored, contract)
            kept = Pattern.of(image=keeps_image, text=keeps_text)
            vector, pattern = await self._embed(
                after.image or None, text, stored.vector, kept, contract
            )
            digest = contract.digest
        if after.further_images:
            further = await embed_further_images(after.further_images, self._embedder, contract)
        return NewProduct(
            record=record_from_product(after),
            pattern=pattern,
            vector=vector,
            digest=digest,
            further_images=further,
            thumbnail=await self._thumbnails.make(after.image) if "image" in mask.paths else None,
            expected_change=stored.change_sequence,
        )

    async def _embed(
        self,
        image: bytes | None,
        text: str | None,
        stored: npt.NDArray[np.float16],
        kept: Pattern,
        contract: EncoderContract,
    ) -> tuple[npt.NDArray[np.float16], Pattern]:
        """Returns the vector of what is kept of the stored one and of what is new."""
        vector = np.zeros(contract.dimension, dtype=np.float16)
        halves = {
            Pattern.IMAGE: slice(contract.image_dimension),
            Pattern.TEXT: slice(contract.image_dimension, None),
        }
        pattern = kept
        for modality, half in halves.items():
            if kept & modality:
                vector[half] = stored[half]
        if image is None and text is None:
            if kept is Pattern.NONE:
                raise InvalidRequestError("the update leaves nothing to match by", field="product")
            return vector, kept
        row = EncoderInput(image=image, text=text)
        try:
            async with self._embedder.embedded(
                row, contract, path="product", is_patient=True, deadline_s=None
            ) as embedding:
                rows = {Pattern.IMAGE: embedding.image, Pattern.TEXT: embedding.text}
        except InvalidRequestError:
            # As beside a new photo: a text without a word that the encoder knows is no text.
            if image is not None or not kept.has_image:
                raise
            return vector, kept
        for modality, half_row in rows.items():
            if half_row is not None:
                vector[halves[modality]] = half_row
                pattern = Pattern(pattern | modality)
        return vector, pattern


def _stale(stored: ChangeableProduct, contract: EncoderContract) -> CatalogueStaleError:
    product_id, digest = stored.product.record.product_id, stored.product.digest
    return CatalogueStaleError(
        f"product {product_id!r} was embedded by the encoder {digest}, but {contract.digest} "
        "serves; send the whole product",
        facts={"catalogue_digest": digest, "serving_digest": contract.digest},
    )
