"""The map of the catalogue: a sample of its products, laid out so that alike ones lie together."""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse

from twinshelf.client.async_client import AsyncClient
from twinshelf.client.errors import InvalidRequestError
from twinshelf.client.records import Product, ProductEmbedding
from twinshelf.client.web.pages import page
from twinshelf.client.web.state import client_of

SAMPLE_COUNT: Final = 1000
SIZE: Final = 600
# What is read for a sample: few enough calls that nobody waits for them.
_PAGES_READ, _PAGE_SIZE = 10, 1000
_EMBEDDINGS_AT_ONCE: Final = 250
_COLOUR_COUNT: Final = 8
_ITERATION_COUNT: Final = 20
_OUTLIER_COUNT: Final = 12
_LEAST_MEMBERS: Final = 5
_LEVEL_MARKS = re.compile("[/>]")
_NO_CATEGORY: Final = "without category"
_OTHER: Final = "other"

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """A product on the map.

    Attributes:
        product: The product.
        x: From the left edge, 0 to `SIZE`.
        y: From the upper edge, 0 to `SIZE`.
        category: Name of its category in the legend.
        likeness: Cosine to the mean of its category, -1 to 1; None in a category of few.
        is_outlier: Whether it is among those least like their category.
    """

    product: Product
    x: float
    y: float
    category: str
    likeness: float | None
    is_outlier: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductMap:
    """A sample of the catalogue, laid out.

    Attributes:
        dots: Its products.
        legend: The categories and their products in the sample, the largest first.
        outliers: The products least like their category, the least one first.
        shown_share: Share of the spread of the embeddings that the two axes show, 0 to 1.
    """

    dots: tuple[Dot, ...]
    legend: tuple[tuple[str, int], ...]
    outliers: tuple[Dot, ...]
    shown_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Products drawn from the catalogue.

    Attributes:
        products: They, in no order.
        read_count: Of how many they were drawn.
        next_token: Where the next sample begins; empty for the beginning of the catalogue.
    """

    products: Sequence[Product]
    read_count: int
    next_token: str


async def show_map(request: Request) -> HTMLResponse:
    """Answers GET /catalogue/map: a sample of the products by their likeness."""
    client = client_of(request)
    seed, token = (request.query_params.get(name, "") for name in ("sample", "after"))
    stats = await client.stats()
    try:
        sample = await sample_products(client, seed, token)
    except InvalidRequestError:
        if not token:
            raise
        raise HTTPException(400, "There is no such sample of the catalogue.") from None
    embeddings = await _embeddings_of(client, sample.products)
    embedded = [each for each in sample.products if each.product_id in embeddings]
    drawn = None
    if len(embedded) > 2:
        rows = [embeddings[each.product_id] for each in embedded]
        drawn = await asyncio.to_thread(draw_map, embedded, rows)
    values = {
        "map": drawn,
        "size": SIZE,
        "product_count": stats.product_count,
        "is_sample": stats.product_count > SAMPLE_COUNT,
        "read_count": sample.read_count,
        "next_token": sample.next_token,
        "next_sample": random.Random(seed).randrange(1_000_000),
        "colours": {name: place for place, (name, _) in enumerate(drawn.legend)} if drawn else {},
    }
    return page(request, "map", values)


async def sample_products(client: AsyncClient, seed: str, token: str) -> Sample:
    """Draws `SAMPLE_COUNT` products, all of them where there are no more.

    The service tells its products by their identifiers and begins at no place that it has not told
    before: of a large catalogue each sample is drawn from the stretch behind that of the last one,
    and behind the end from the beginning.

    Args:
        client: Reads the catalogue.
        seed: Chooses among the products that are read.
        token: Where to begin to read; empty for the beginning.

    Raises:
        InvalidRequestError: If that is no such place.
    """
    found: dict[str, Product] = {}
    has_passed_end = not token
    for _ in range(_PAGES_READ):
        part = await client.list_page(page_size=_PAGE_SIZE, page_token=token)
        found |= {each.product_id: each for each in part.products}
        token = part.next_page_token
        if not token:
            if has_passed_end:
                break
            has_passed_end = True
    drawn = random.Random(seed).sample(list(found.values()), min(len(found), SAMPLE_COUNT))
    return Sample(products=drawn, read_count=len(found), next_token=token)


async def _embeddings_of(
    client: AsyncClient, products: Sequence[Product]
) -> dict[str, ProductEmbedding]:
    ids = [each.product_id for each in products]
    blocks = [
        ids[start : start + _EMBEDDINGS_AT_ONCE]
        for start in range(0, len(ids), _EMBEDDINGS_AT_ONCE)
    ]
    answers = await asyncio.gather(*map(client.embeddings, blocks))
    return {each.product_id: each for answer in answers for each in answer}


def draw_map(products: Sequence[Product], embeddings: Sequence[ProductEmbedding]) -> ProductMap:
    """Lays products out by the two directions in which their embeddings differ most.

    Source: principal component analysis, Pearson, On lines and planes of closest fit, 1901.

    Args:
        products: Products (N), three or more.
        embeddings: Those of the products (N).
    """
    rows = _full_rows(embeddings)
    categories = name_categories(products)
    centred = rows - rows.mean(axis=0)
    places = _main_directions(centred)
    shown_share = float(np.square(places).sum() / max(np.square(centred).sum(), 1e-9))
    places -= places.min(axis=0)
    places *= (SIZE - 20) / max(places.max(), 1e-9)
    likeness = _category_likeness(rows, categories)
    outliers = sorted(likeness, key=lambda row: likeness[row])[:_OUTLIER_COUNT]
    dots = tuple(
        Dot(
            product=product,
            x=float(places[row, 0]) + 10,
            y=float(places[row, 1]) + 10,
            category=categories[row],
            likeness=likeness.get(row),
            is_outlier=row in outliers,
        )
        for row, product in enumerate(products)
    )
    return ProductMap(
        dots=dots,
        legend=tuple(Counter(categories).most_common()),
        outliers=tuple(dots[row] for row in outliers),
        shown_share=shown_share,
    )


def _main_directions(centred: Floats) -> Floats:
    """Returns rows (N, D) in the two directions in which they differ most, (N, 2).

    All directions, as a library would find them, take seconds while the cores are busy.
    Source: subspace iteration, Golub, Van Loan, Matrix Computations, section 8.2.4.
    """
    basis = np.random.default_rng(0).normal(size=(centred.shape[1], 8)).astype(np.float32)
    for _ in range(_ITERATION_COUNT):
        basis, _ = np.linalg.qr(centred.T @ (centred @ basis))
    _, _, turn = np.linalg.svd(centred @ basis, full_matrices=False)
    places: Floats = centred @ basis @ turn[:2].T
    return places


def name_categories(products: Sequence[Product]) -> list[str]:
    """Returns the category of each product as the legend names it.

    That is the highest level of the path at which there are two categories or more; all but the
    largest are "other".
    """
    paths = [
        [part.strip() for part in _LEVEL_MARKS.split(each.category) if part.strip()]
        for each in products
    ]
    names = [" / ".join(path) for path in paths]
    for depth in range(1, max(map(len, paths)) + 1):
        names = [" / ".join(path[:depth]) for path in paths]
        if len(set(filter(None, names))) > 1:
            break
    counts = Counter(name for name in names if name)
    largest = {name for name, _ in counts.most_common(_COLOUR_COUNT)}
    return [(name if name in largest else _OTHER) if name else _NO_CATEGORY for name in names]


def _full_rows(embeddings: Sequence[ProductEmbedding]) -> Floats:
    """Returns rows (N, D) of both halves; one that is missing is the mean of the others'."""
    halves = []
    for name in ("image", "text"):
        there = [row for row, each in enumerate(embeddings) if getattr(each, name)]
        if not there:
            continue
        known = np.array([getattr(embeddings[row], name) for row in there], np.float32)
        half = np.tile(known.mean(axis=0), (len(embeddings), 1))
        half[there] = known
        halves.append(half)
    return np.concatenate(halves, axis=1)


def _category_likeness(rows: Floats, categories: Sequence[str]) -> dict[int, float]:
    """Returns the cosine of rows to the mean of their category, by row; few make no mean."""
    likeness: dict[int, float] = {}
    names = np.array(categories)
    for name in sorted(set(categories) - {_NO_CATEGORY, _OTHER}):
        (members,) = np.nonzero(names == name)
        if len(members) < _LEAST_MEMBERS:
            continue
        mean = rows[members].mean(axis=0)
        lengths = np.linalg.norm(rows[members], axis=1) * np.linalg.norm(mean)
        cosines = rows[members] @ mean / np.maximum(lengths, 1e-9)
        likeness |= dict(zip(members.tolist(), cosines.tolist(), strict=True))
    return likeness
