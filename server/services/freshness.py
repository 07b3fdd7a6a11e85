"""Whether the products of the catalogue can be compared with what the encoder makes now."""

from __future__ import annotations

from typing import Final

from twinshelf.server.catalogue.catalogue import Catalogue
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.errors import CatalogueStaleError

REEMBED_COMMAND: Final = "twinshelf index FILE"


def check_fresh(catalogue: Catalogue, contract: EncoderContract) -> None:
    """Checks that no product was embedded by another encoder.

    Raises:
        CatalogueStaleError: If one was; names the encoders and what helps.
    """
    stale = catalogue.stale_counts(contract.digest)
    if not stale:
        return
    count = sum(stale.values())
    digests = sorted(stale)
    more = f" and {len(digests) - 1} others" if len(digests) > 1 else ""
    raise CatalogueStaleError(
        f"{count} products of the catalogue were embedded by the encoder {digests[0]}{more}, "
        f"but {contract.digest} serves; embed them again: {REEMBED_COMMAND}",
        facts={
            "catalogue_digest": digests[0],
            "serving_digest": contract.digest,
            "stale_product_count": str(count),
            "command": REEMBED_COMMAND,
        },
    )
