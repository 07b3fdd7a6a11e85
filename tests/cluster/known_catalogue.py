"""A catalogue of made vectors whose right answers are known before anybody is asked.

Around the embedding of each query lie ten products at cosines that fall in steps far above what
fp16 rounds; everything else lies far away. So the answer is exact and one alone is right, also from
an index that looks at a part of its lists.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tests.soak.offers import WORDS
from twinshelf.server.catalogue.catalogue import Catalogue
from twinshelf.server.catalogue.product_record import NewProduct, ProductRecord, ProductVector
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.embedding import Floats, Halves
from twinshelf.server.encoders.encoder import EncoderInput
from twinshelf.server.encoders.modalities import Pattern
from twinshelf.server.encoders.triton_encoder import TritonEncoder
from twinshelf.server.errors import CatalogueUnavailableError, TwinshelfError

DEPTH: Final = 10
_NEAREST, _STEP = 0.999, 0.001
_TITLE_WORD_COUNT: Final = 9
_WRITES_AT_ONCE: Final = 1024
_TRITON_TIMEOUT_S: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCatalogue:
    """N products, and Q queries with their answers.

    Attributes:
        vectors: (N, I + T) stored vectors, of photo and text.
        answers: Identifiers of the `DEPTH` best products of each query, best first.
    """

    vectors: Halves
    answers: dict[str, tuple[str, ...]]

    @property
    def titles(self) -> dict[str, str]:
        """Titles of all products, by their identifiers."""
        return {product_id(row): f"made product {row}" for row in range(len(self.vectors))}


def product_id(row: int) -> str:
    """Returns the identifier of a made product."""
    return f"made-{row:07}"


def draw_titles(count: int, seed: int) -> list[str]:
    """Draws titles of words that every encoder here knows, none twice."""
    chance = np.random.default_rng(seed)
    titles: dict[str, None] = {}
    while len(titles) < count:
        titles[" ".join(chance.choice(WORDS, size=_TITLE_WORD_COUNT))] = None
    return list(titles)


async def embed_titles(address: str, titles: list[str]) -> tuple[EncoderContract, Floats]:
    """Returns the contract of the encoder that a Triton serves, and (Q, T) rows of offers.

    Raises:
        TwinshelfError: If Triton does not answer.
    """
    encoder = await TritonEncoder.open(address, version=0, timeout_s=_TRITON_TIMEOUT_S)
    try:
        contract = await encoder.refresh()
        fields = contract.text_fields
        texts = [fields.join({"title": each}, prefix=fields.query_prefix) for each in titles]
        found = await encoder.encode([EncoderInput(image=None, text=t) for t in texts], contract)
    finally:
        await encoder.close()
    rows = []
    for each in found:
        if isinstance(each, TwinshelfError):
            raise each
        assert each.text is not None
        rows.append(each.text)
    return contract, np.stack(rows)


def make_catalogue(
    contract: EncoderContract,
    count: int,
    queries: dict[str, npt.NDArray[np.float32]],
    written: Floats,
    generator: np.random.Generator,
) -> KnownCatalogue:
    """Makes products around queries.

    Args:
        contract: That of the encoder.
        count: Products, `DEPTH` or more for each query.
        queries: (T,) unit embeddings of the titles that will be asked for.
        written: (W, T) unit embeddings of products that may be written beside the made ones;
            queries that would meet one of them among their best are left out.
        generator: Draws.

    Raises:
        ValueError: If there are too few products, or no query is left.
    """
    if count < DEPTH * len(queries):
        raise ValueError(
            f"{len(queries)} queries need {DEPTH * len(queries)} products, got {count}"
        )
    halves = [
        _unit(generator.normal(size=(count, width)).astype(np.float32))
        for width in (contract.image_dimension, contract.text_dimension)
    ]
    texts = halves[1]  # (N, T)
    cosines = _NEAREST - _STEP * np.arange(DEPTH, dtype=np.float32)
    for number, query in enumerate(queries.values()):
        rows = slice(number * DEPTH, (number + 1) * DEPTH)
        aside = _unit(texts[rows] - (texts[rows] @ query)[:, np.newaxis] * query)
        texts[rows] = cosines[:, np.newaxis] * query + _aside(cosines)[:, np.newaxis] * aside
    vectors = np.concatenate(halves, axis=1).astype(np.float16)
    stored = vectors[:, contract.image_dimension :].astype(np.float32)
    answers = {}
    for title, query in queries.items():
        scores = stored @ query
        best = np.argsort(-scores, kind="stable")[:DEPTH]
        if len(written) == 0 or (written @ query).max() < scores[best[-1]] - _STEP:
            answers[title] = tuple(map(product_id, best.tolist()))
    if not answers:
        raise ValueError("every query would meet a written product; draw other titles")
    return KnownCatalogue(vectors=vectors, answers=answers)


async def fill(catalogue: Catalogue, known: KnownCatalogue, contract: EncoderContract) -> None:
    """Writes the products into an empty catalogue, and has them indexed."""
    await catalogue.use_encoder(contract)
    products = [
        NewProduct(
            record=ProductRecord(product_id=each, title=title),
            vectors=(ProductVector(digest=contract.digest, pattern=Pattern.BOTH, vector=vector),),
        )
        for (each, title), vector in zip(known.titles.items(), known.vectors, strict=True)
    ]
    for first in range(0, len(products), _WRITES_AT_ONCE):
        await _write(catalogue, products[first : first + _WRITES_AT_ONCE])
    await catalogue.snapshot()


async def _write(catalogue: Catalogue, products: Sequence[NewProduct]) -> None:
    """Writes products, and repeats what was refused because Milvus was busy."""
    while products:
        results = await asyncio.gather(*map(catalogue.upsert, products), return_exceptions=True)
        refused = []
        for product, result in zip(products, results, strict=True):
            if isinstance(result, CatalogueUnavailableError):
                refused.append(product)
            elif isinstance(result, BaseException):
                raise result
        products = refused


def _unit(rows: Floats) -> Floats:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _aside(cosines: Floats) -> Floats:
    return np.sqrt(1 - cosines**2)
