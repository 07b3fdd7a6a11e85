"""The two kinds of sides as the load generator calls them; they differ only in the call."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol

import grpc

from tests.benchmarks.end_to_end.offers import Offer
from twinshelf.v1 import catalog_service_pb2, matching_service_pb2, product_pb2
from twinshelf.v1.catalog_service_pb2_grpc import CatalogServiceStub
from twinshelf.v1.matching_service_pb2_grpc import MatchingServiceStub

MATCH_COUNT = 10
TIMEOUT_S = 60.0


class Side(Protocol):
    """Something that stores products and matches offers."""

    async def store(self, products: Sequence[Offer]) -> None:
        """Stores products.

        Raises:
            RuntimeError: If one of them is refused.
        """

    async def match(self, offer: Offer) -> list[str]:
        """Returns the identifiers of the ten best matches, best first."""

    async def close(self) -> None:
        """Closes the connection."""


class ServiceSide:
    """The matching service, over gRPC."""

    def __init__(self, address: str) -> None:
        """Connects, inside the running loop.

        Args:
            address: host:port.
        """
        self._channel = grpc.aio.insecure_channel(address)
        self._matching = MatchingServiceStub(self._channel)
        self._catalog = CatalogServiceStub(self._channel)

    async def store(self, products: Sequence[Offer]) -> None:
        """Stores products by one stream."""

        async def requests() -> AsyncIterator[catalog_service_pb2.UpsertProductsRequest]:
            for each in products:
                product = product_pb2.Product(
                    product_id=each.product_id, title=each.title, image=each.image
                )
                yield catalog_service_pb2.UpsertProductsRequest(product=product)

        async for answer in self._catalog.UpsertProducts(requests()):
            if answer.HasField("error"):
                raise RuntimeError(f"{answer.product_id} was refused: {answer.error.message}")

    async def match(self, offer: Offer) -> list[str]:
        """Matches one offer by a call of its own."""
        request = matching_service_pb2.MatchProductRequest(
            offer=product_pb2.Offer(image=offer.image, title=offer.title), match_count=MATCH_COUNT
        )
        answer = await self._matching.MatchProduct(request, timeout=TIMEOUT_S)
        return [match.product.product_id for match in answer.matches]

    async def close(self) -> None:
        """Closes the channel."""
        await self._channel.close()


class StackSide:
    """The stack of `stack.py`, over HTTP."""

    def __init__(self, url: str) -> None:
        """Connects.

        Args:
            url: Such as http://127.0.0.1:8080.
        """
        # Here, for `make bench` alone installs it.
        httpx: Any = importlib.import_module("httpx")
        self._client = httpx.AsyncClient(
            base_url=url, timeout=TIMEOUT_S, trust_env=False, limits=httpx.Limits()
        )

    async def store(self, products: Sequence[Offer]) -> None:
        """Stores products one by one."""
        for each in products:
            fields = {"title": each.title, "product_id": each.product_id}
            await self._post("/products", each, fields)

    async def match(self, offer: Offer) -> list[str]:
        """Matches one offer."""
        answer = await self._post("/match", offer, {"title": offer.title})
        return [str(each) for each in answer["product_ids"]]

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.aclose()

    async def _post(self, path: str, offer: Offer, fields: dict[str, str]) -> Any:
        files = {"image": ("image.jpg", offer.image, "image/jpeg")}
        answer = await self._client.post(path, data=fields, files=files)
        answer.raise_for_status()
        return answer.json()
