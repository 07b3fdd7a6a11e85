"""Whether the products of the catalogue can be compared with what the encoder makes now."""

from __future__ import annotations

from typing import Final

from twinshelf.server.catalogue.catalogue import Catalogue
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.errors import CatalogueStaleError

REEMBED_COMMAND: Final = "twinshelf index FILE"


def check_fresh(catalogue: Catalogue, contract: EncoderContract) -> None:
    """Checks that an encoder has embedded every product.

    Raises:
        CatalogueStaleError: If not; names the encoders and what helps.
    """
    count = catalogue.encoders.count_missing(contract.digest)
    if not count:
        return
    counts = catalogue.encoders.count_vectors()
    others = sorted(counts.keys() - {contract.digest}, key=counts.__getitem__, reverse=True)
    more = f" and {len(others) - 1} others" if len(others) > 1 else ""
    raise CatalogueStaleError(
        f"{count} products of the catalogue were embedded by the encoder "
        f"{others[0] if others else 'of old'}{more}, "
        f"but {contract.digest} is asked for; embed them again: {REEMBED_COMMAND}",
        facts={
            "catalogue_digest": others[0] if others else "",
            "serving_digest": contract.digest,
            "stale_product_count": str(count),
            "command": REEMBED_COMMAND,
        },
    )
