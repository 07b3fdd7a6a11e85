"""Changes of the catalogue as they are watched, and from where on."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import grpc

from twinshelf.client.conversions import product_from_message
from twinshelf.client.errors import NOT_CONNECTED, SLOW_MESSAGE, error_from_call
from twinshelf.client.records import Product
from twinshelf.client.retries import RetryPolicy
from twinshelf.v1 import catalog_service_pb2

# A watch that stood for so long had begun well, though nothing changed meanwhile.
LASTED_S = 10.0
_KINDS: dict[int, Literal["upserted", "deleted"]] = {
    catalog_service_pb2.CHANGE_KIND_UPSERTED: "upserted",
    catalog_service_pb2.CHANGE_KIND_DELETED: "deleted",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductChange:
    """A change of the catalogue.

    Attributes:
        change_sequence: Its number; whoever goes on from it misses nothing.
        product_id: Identifier of the product.
        kind: What happened to it.
        product: The product, without its photo; None if it was not asked for or was deleted, or
            what is stored of it is damaged.
    """

    change_sequence: int
    product_id: str
    kind: Literal["upserted", "deleted"]
    product: Product | None


class WatchPoint:
    """The last change that has come, from which a watch that broke goes on."""

    def __init__(
        self,
        from_sequence: int,
        *,
        includes_products: bool,
        address: str,
        policy: RetryPolicy,
        randomness: random.Random,
    ) -> None:
        """Begins after a change.

        Args:
            from_sequence: Number of the change.
            includes_products: Whether the products come as well.
            address: Where the service is, for messages.
            policy: How often a watch is begun again that neither lasts nor brings a change.
            randomness: Where the jitter comes from.
        """
        self._sequence = from_sequence
        self._includes_products = includes_products
        self._address = address
        self._policy = policy
        self._randomness = randomness
        self._failure_count = 0
        self._begun_s = time.monotonic()

    def begin(self) -> catalog_service_pb2.WatchChangesRequest:
        """Starts the clock of a watch; returns the request that goes on from here."""
        self._begun_s = time.monotonic()
        return catalog_service_pb2.WatchChangesRequest(
            from_sequence=self._sequence, includes_products=self._includes_products
        )

    def take(self, response: catalog_service_pb2.WatchChangesResponse) -> Iterator[ProductChange]:
        """Yields the changes of a response, and moves on to each when the next is asked for."""
        self._failure_count = 0
        for message in response.changes:
            yield ProductChange(
                change_sequence=message.change_sequence,
                product_id=message.product_id,
                kind=_KINDS.get(message.kind, "upserted"),
                product=product_from_message(message.product)
                if message.HasField("product")
                else None,
            )
            self._sequence = message.change_sequence

    def wait_after_break_s(self, error: grpc.RpcError) -> float:
        """Takes the end of a watch; returns how long to wait before the next, seconds.

        Raises:
            TwinshelfError: If another will not help.
        """
        mapped = error_from_call(error, self._address)
        if mapped.reason == SLOW_MESSAGE:
            return 0.0
        if mapped.reason != NOT_CONNECTED and time.monotonic() - self._begun_s >= LASTED_S:
            self._failure_count = 0
        self._failure_count += 1
        wait_s = self._policy.wait_s(mapped, self._failure_count, self._randomness)
        if wait_s is None:
            raise mapped from error
        return wait_s
