"""Embedding products: as the towers do one by one, with zeros where something is missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.training.catalogues.rows import good_rows
from twinshelf.training.catalogues.product import Product
from twinshelf.training.catalogues.table import read_table
from twinshelf.training.checkpoint import TrainedEncoder, load_encoder
from twinshelf.training.evaluation.embedded_products import (
    EmbeddedProducts,
    embed_products,
    read_products,
)
from twinshelf.training.preprocessing.images import decode_image

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def encoder(made_run: Path) -> TrainedEncoder:
    return load_encoder(made_run)


@pytest.fixture
def products(made_run: Path) -> list[Product]:
    return good_rows(read_table(made_run.parent / "data" / "queries.parquet"))[:7]


def embed(
    encoder: TrainedEncoder, products: list[Product], cache: Path, **options: Any
) -> EmbeddedProducts:
    options.setdefault("are_passages", False)
    data = replace(encoder.config.data, pixel_cache=str(cache), embedding_batch_size=3)
    return embed_products(
        replace(encoder, config=replace(encoder.config, data=data)), products, **options
    )


@pytest.mark.parametrize(("are_passages", "prefix"), [(False, "offer "), (True, "product ")])
def test_embeddings_equal_those_of_the_towers_one_by_one(
    encoder: TrainedEncoder,
    products: list[Product],
    tmp_path: Path,
    are_passages: bool,
    prefix: str,
) -> None:
    found = embed(encoder, products, tmp_path, are_passages=are_passages)
    for row, product in enumerate(products):
        pixels = decode_image(product.images[0].read_bytes(), encoder.settings)
        tokens = encoder.tokenizer.encode([prefix + product.title])
        with torch.inference_mode():
            image = encoder.model.image_tower(torch.from_numpy(pixels)[None])
            text = encoder.model.text_tower(
                torch.from_numpy(tokens.input_ids), torch.from_numpy(tokens.attention_mask)
            )
        # Another batch size orders sums differently: float32 unit rows agree to about 1e-6.
        np.testing.assert_allclose(found.embeddings.image[row], image[0], atol=1e-5)
        np.testing.assert_allclose(found.embeddings.text[row], text[0], atol=1e-5)


def test_missing_and_broken_modalities_are_zeros(
    encoder: TrainedEncoder, products: list[Product], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff no picture")
    changed = [
        replace(products[0], title=""),
        replace(products[1], images=()),
        replace(products[2], images=(broken,)),
        products[3],
    ]
    found = embed(encoder, changed, tmp_path / "pixels").embeddings
    expected = [[True, False], [False, True], [False, True], [True, True]]
    assert found.presence.tolist() == expected


def test_labels_keep_their_order(
    encoder: TrainedEncoder, products: list[Product], tmp_path: Path
) -> None:
    found = embed(encoder, products, tmp_path)
    assert found.product_ids == tuple(product.product_id for product in products)
    assert found.groups == tuple(product.group for product in products)
    assert found.categories == tuple(product.category for product in products)


def test_no_products_give_no_rows(encoder: TrainedEncoder, tmp_path: Path) -> None:
    assert len(embed(encoder, [], tmp_path)) == 0


def write(path: Path, *rows: str) -> Path:
    path.write_text("\n".join(["product_id,title,price", *rows]) + "\n")
    return path


def test_several_files_are_joined_and_repeated_products_count_once(tmp_path: Path) -> None:
    first = write(tmp_path / "a.csv", "1,tea,", "2,milk,")
    second = write(tmp_path / "b.csv", "2,milk,", "3,soap,")
    notes: list[str] = []
    products = read_products([first, second], notes)
    assert [product.product_id for product in products] == ["1", "2", "3"]
    assert notes == ["1 rows stand in an earlier file too and count once"]


def test_a_duplicate_in_one_file_is_a_bad_row_named_by_file_and_row(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "1,tea,", "1,milk,", "2,soap,minus")
    notes: list[str] = []
    products = read_products([path], notes)
    assert [product.title for product in products] == ["tea", "soap"]
    assert "1 price could not be read, such as 'minus'" in notes[0]
    assert "1 rows were left out, first" in notes[1]
    assert "a.csv, row 2" in notes[1] and "'1'" in notes[1]


def test_an_empty_or_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no usable row"):
        read_products([write(tmp_path / "empty.csv")], [])
    with pytest.raises(FileNotFoundError):
        read_products([tmp_path / "absent.csv"], [])
