"""Every product is replaced three times under search: recall holds, removed ones stay gone."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.server.catalogue.products import new_product, query_of
from tests.server.fake_encoder import make_contract
from twinshelf.server.catalogue.one_machine.sqlite_catalogue import SqliteCatalogue
from twinshelf.server.catalogue.ranking import Query
from twinshelf.server.encoders.embedding import Floats, OfferEmbedding

CONTRACT = make_contract(image_dim=256, text_dim=256, embedding_dim=512)
ROUNDS = 3
AT_ONCE = 500
SEARCHES = 200
_DEPTH = 10
_LEAST_RECALL = 0.99
_CLUSTER_SIZE = 20
_SPREAD = 0.5


class _Turnover:
    """A catalogue, and what must be in it: names in the order of the rows of their vectors."""

    def __init__(self, catalogue: SqliteCatalogue, count: int) -> None:
        self._rng = np.random.default_rng(0)
        self._catalogue = catalogue
        self._centres = self._rng.normal(size=(max(1, count // _CLUSTER_SIZE), 2, 256))
        self._names = [f"p{place}" for place in range(count)]
        self._halves = np.empty((count, 2, 256), np.float32)
        self._removed: set[str] = set()
        self.returned_removed = 0
        self.search_count = 0

    async def replace_all(self, turn: int) -> None:
        """Replaces every product in a random order, every second one under another name."""
        order = self._rng.permutation(len(self._names))
        for start in range(0, len(order), AT_ONCE):
            places = order[start : start + AT_ONCE]
            leaving = [self._names[place] for place in places[::2]] if turn else []
            if leaving:
                await self._catalogue.delete(leaving)
                self._removed.update(leaving)
            for place in places[::2]:
                self._names[place] = f"p{place}-{turn}"
            rows = self._centres[self._rng.integers(len(self._centres), size=len(places))]
            rows = rows + _SPREAD * self._rng.normal(size=rows.shape)
            self._halves[places] = rows / np.linalg.norm(rows, axis=2, keepdims=True)
            await asyncio.gather(*(self._write(place) for place in places))

    async def search_for_ever(self) -> None:
        """Searches, and counts products that were removed before the search began."""
        while True:
            removed = set(self._removed)
            place = int(self._rng.integers(len(self._names)))
            page = await self._catalogue.search(self._query(place))
            names = {hit.product.record.product_id for hit in page.hits}
            self.returned_removed += len(names & removed)
            self.search_count += 1
            await asyncio.sleep(0.01)

    async def recall(self) -> float:
        """Returns recall@10 against exact search."""
        flat = self._halves.reshape(len(self._halves), -1)
        weights = np.repeat([CONTRACT.weights.image, CONTRACT.weights.text], 256)
        found_count = 0
        for place in self._rng.integers(len(self._names), size=SEARCHES):
            exact = np.argsort(-(flat @ (flat[place] * weights)))[:_DEPTH]
            page = await self._catalogue.search(self._query(int(place)))
            names = {hit.product.record.product_id for hit in page.hits}
            found_count += len(names & {self._names[row] for row in exact})
        return found_count / (SEARCHES * _DEPTH)

    def _embedding(self, place: int) -> OfferEmbedding:
        image, text = self._halves[place]
        return OfferEmbedding(image=_copied(image), text=_copied(text))

    def _query(self, place: int) -> Query:
        return replace(query_of(self._embedding(place), count=_DEPTH), contract=CONTRACT)

    async def _write(self, place: int) -> None:
        product = new_product(self._names[place], self._embedding(place), CONTRACT)
        await self._catalogue.upsert(product)


async def turn_over(folder: Path, product_count: int) -> dict[str, object]:
    """Stores products and replaces all of them three times, under search.

    Returns:
        recall@10 after each round, searches, and what was broken.
    """
    catalogue = SqliteCatalogue(folder, reader_count=2)
    await catalogue.use_encoder(CONTRACT)
    turnover = _Turnover(catalogue, product_count)
    recalls = []
    for turn in range(ROUNDS + 1):
        searching = asyncio.ensure_future(turnover.search_for_ever()) if turn else None
        await turnover.replace_all(turn)
        recalls.append(await turnover.recall())
        if searching is not None:
            searching.cancel()
            await asyncio.wait([searching])
            if not searching.cancelled() and (error := searching.exception()):
                raise error
    broken = [f"recall {each:.3f}" for each in recalls if each < _LEAST_RECALL]
    if turnover.returned_removed:
        broken.append(f"{turnover.returned_removed} removed products were returned")
    if catalogue.product_count != product_count:
        broken.append(f"{catalogue.product_count} products are stored")
    await catalogue.close()
    return {
        "products": product_count,
        "recall": [round(each, 4) for each in recalls],
        "searches": turnover.search_count,
        "broken": broken,
    }


def _copied(row: Floats) -> Floats:
    return np.array(row, dtype=np.float32)
