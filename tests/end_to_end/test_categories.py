"""The service predicts categories as the batch command does on the same data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.end_to_end.conftest import Published
from twinshelf.client import records
from twinshelf.client.async_client import AsyncClient
from twinshelf.client.category_records import CategoryOptions
from twinshelf.client.sync_client import Client
from twinshelf.training.catalogues.product import Product
from twinshelf.training.catalogues.table import read_table
from twinshelf.training.categories.category_config import CategoryConfig
from twinshelf.training.categories.category_evaluator import (
    LabelledGallery,
    TunedMethods,
    label_probabilities,
)
from twinshelf.training.categories.category_labels import Labels
from twinshelf.training.categories.category_results import Choice, read_choices
from twinshelf.training.categories.knn import vote
from twinshelf.training.evaluation.embedded_products import EmbeddedProducts, embed_products
from twinshelf.training.retrieval.embeddings import ProductEmbeddings
from twinshelf.training.retrieval.exact_search import retrieve
from twinshelf.training.retrieval.fusion_weight import pattern_weights

pytestmark = pytest.mark.triton

WORDS = ("red", "green", "soap", "box", "bar", "large", "small", "500")
# Towers in float32, off by 1e-6, and weights of exp(score / 0.07).
MARGIN_TOLERANCE = 1e-4
# A curve of 60 offers is up to ten times as steep.
PROBABILITY_TOLERANCE = 1e-3


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Product], list[Product]]:
    """A gallery whose categories are drawn, and queries of photo, of text and of both."""
    folder = tmp_path_factory.mktemp("photos")
    generator = np.random.default_rng(3)

    def draw(name: str, number: int) -> Product:
        """Draws a product unlike all others, as equal ones have no order of their own."""
        file = folder / f"{name}{number}.png"
        Image.fromarray(generator.integers(0, 256, (24, 40, 3), np.uint8)).save(file)
        return Product(
            product_id=f"{name}{number}",
            title=" ".join(generator.permutation(WORDS)[:5]) if number % 3 else "",
            images=(file,) if number % 3 != 1 else (),
        )

    gallery = [draw("g", number) for number in range(40)]
    return gallery, [draw("q", number) for number in range(12)]


@pytest.fixture
def categories(client: Client, made: tuple[list[Product], list[Product]]) -> Iterator[list[str]]:
    """The category of each product of the gallery, which is stored."""
    gallery, _ = made
    drawn = np.random.default_rng(4).choice(["", "Soap", "Tea", "Milk"], len(gallery)).tolist()
    rows = [
        records.Product(product_id=p.product_id, title=p.title, category=c, image=photo_of(p))
        for p, c in zip(gallery, drawn, strict=True)
    ]
    assert not any(answer.error for answer in client.upsert(rows))
    yield drawn
    client.delete([product.product_id for product in gallery])


def photo_of(product: Product) -> bytes:
    return product.images[0].read_bytes() if product.images else b""


@pytest.mark.parametrize("neighbour_count", [1, 5, 30])
def test_categories_and_margins_are_those_of_the_batch_command(
    client: Client,
    published: Published,
    made: tuple[list[Product], list[Product]],
    categories: list[str],
    neighbour_count: int,
) -> None:
    gallery, queries = made
    labelled = [replace(p, category=c) for p, c in zip(gallery, categories, strict=True) if c]
    embedded = embed_products(published.encoder, labelled, are_passages=True)
    asked = embed_products(published.encoder, queries, are_passages=False)
    stored = ProductEmbeddings(
        image=embedded.embeddings.image.astype(np.float16).astype(np.float32),
        text=embedded.embeddings.text.astype(np.float16).astype(np.float32),
    )
    labels = Labels.of(embedded.categories)
    weights = pattern_weights(published.encoder.model.fusion.plain_weight())
    for row, query in enumerate(queries):
        pattern = "both" if query.title and query.images else "text" if query.title else "image"
        candidates = retrieve(
            asked.embeddings.rows(np.array([row])),
            stored,
            image_weight=weights[pattern],
            k=max(neighbour_count, 20),
        ).candidates
        expected = vote(candidates, labels.numbers(embedded.categories), neighbour_count)
        found = client.predict_category(
            records.Offer(title=query.title, image=photo_of(query)),
            CategoryOptions(neighbour_count=neighbour_count),
        )
        assert found.pattern == pattern
        assert found.margin == pytest.approx(expected.margins[0], abs=MARGIN_TOLERANCE)
        number = int(expected.numbers[0])
        assert found.category == ("" if number < 0 else labels.names[number])


def stored_halves(products: EmbeddedProducts) -> EmbeddedProducts:
    """Rounds embeddings as the catalogue stores them."""
    image, text = (
        half.astype(np.float16).astype(np.float32)
        for half in (products.embeddings.image, products.embeddings.text)
    )
    return replace(products, embeddings=ProductEmbeddings(image=image, text=text))


def batch_answers(
    published: Published, products: list[Product], queries: list[Product], pattern: str
) -> tuple[Choice, list[str], list[float]]:
    """Returns what `make categories` chose, and the labels and probabilities that it gives."""
    names, choices = read_choices(published.run / "categories" / "category", "category")
    rows = LabelledGallery.of(
        stored_halves(embed_products(published.encoder, products, are_passages=True)),
        pattern,
        labels=Labels(names=names),
        config=CategoryConfig(),
        fusion_weight=published.encoder.model.fusion.plain_weight(),
    )
    unknown = [replace(query, category="") for query in queries]  # as it is asked for
    asked = embed_products(published.encoder, unknown, are_passages=False)
    found = rows.predict("knn", asked, TunedMethods(choices=choices[pattern], head=None))
    choice = choices[pattern]["knn"]
    labels = [names[number] if number >= 0 else "" for number in found.numbers.tolist()]
    return choice, labels, label_probabilities(found, choice.curve).tolist()


async def test_probabilities_and_abstention_are_those_of_the_batch_command(
    either_client: AsyncClient, published: Published
) -> None:
    products = [row for row in read_table(published.labelled) if isinstance(row, Product)]
    rows = (
        records.Product(
            product_id=p.product_id, title=p.title, category=p.category, image=photo_of(p)
        )
        for p in products
    )
    assert not any([answer.error async for answer in either_client.upsert(rows)])
    answered = set()
    for start, pattern in enumerate(("image", "text", "both")):
        chosen = products[start:30:3]
        choice, labels, probabilities = batch_answers(published, products, chosen, pattern)
        for query, label, probability in zip(chosen, labels, probabilities, strict=True):
            offer = records.Offer(title=query.title, image=photo_of(query))
            options = CategoryOptions(excluded_product_id=query.product_id)
            found = await either_client.predict_category(offer, options)
            assert (found.pattern, found.category) == (pattern, label)
            assert found.probability == pytest.approx(probability, abs=PROBABILITY_TOLERANCE)
            for target in (0.5, 0.7, 0.85, 0.999):
                if abs(probability - choice.threshold(target)) > PROBABILITY_TOLERANCE:
                    strict = await either_client.predict_category(
                        offer, replace(options, target_precision=target)
                    )
                    is_answered = probability >= choice.threshold(target)
                    assert strict.category == (label if is_answered else "")
                    answered.add(is_answered)
    assert answered == {True, False}
    await either_client.delete([product.product_id for product in products])
