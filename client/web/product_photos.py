"""Where the photo of a product can be seen: here, at the service, by a link, or nowhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from twinshelf.client.files.values.photos import PhotoError, PhotoFiles, read_photo
from twinshelf.client.records import Offer, Product
from twinshelf.client.web.kept_photos import photo_type


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoPlace:
    """Where a page gets a photo from.

    Attributes:
        source: Path on our own server; empty when there is nothing to show.
        link: Address elsewhere, for people to follow; the page itself never loads it.
    """

    source: str = ""
    link: str = ""


class ProductPhotos:
    """The photos below one folder; no file outside it is ever read."""

    def __init__(self, image_root: Path | None) -> None:
        """Names the folder.

        Args:
            image_root: The folder; None shows no photo.
        """
        self._files = PhotoFiles([image_root]) if image_root else None

    def place(self, product: Product, *, is_stored: bool = True) -> PhotoPlace:
        """Says where the photo of a product can be seen: its file, else a thumbnail of the service.

        Args:
            product: Of the catalogue, or of a table.
            is_stored: Whether the catalogue holds it, so that it may have a thumbnail there.
        """
        uri = product.image_uri
        link = uri if uri.lower().startswith(("http://", "https://")) else ""
        if not link and self._path(uri):
            return PhotoPlace(source=f"/product-photo?uri={quote(uri, safe='')}")
        if is_stored and product.pattern in ("image", "both"):
            return PhotoPlace(
                source=f"/thumbnail?id={quote(product.product_id, safe='')}", link=link
            )
        return PhotoPlace(link=link)

    def read(self, image_uri: str) -> bytes:
        """Reads a photo; empty when there is none that may be shown.

        Args:
            image_uri: As the catalogue has it.
        """
        path = self._path(image_uri)
        try:
            data = read_photo(path) if path else b""
        except PhotoError:
            return b""
        return data if photo_type(data) else b""

    def offer(self, product: Product) -> Offer:
        """Makes the offer that a product would be, with its photo when that is at hand.

        Args:
            product: Of the catalogue or of a table.
        """
        return Offer(
            image=product.image or self.read(product.image_uri),
            title=product.title,
            description=product.description,
            category=product.category,
            brand=product.brand,
            price=product.price,
            attributes=product.attributes,
            product_id=product.product_id,
            seller=product.seller,
        )

    def _path(self, image_uri: str) -> Path | None:
        if not (self._files and image_uri):
            return None
        try:
            return self._files.find(image_uri)
        except PhotoError:
            return None
