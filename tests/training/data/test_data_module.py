"""Feeding: what a batch holds, with and without augmentation, and where a modality is missing."""

import os
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.training.small_catalogue import small_config, write_small_catalogue
from twinshelf.training.catalogues.mapped_products import map_rows
from twinshelf.training.catalogues.product import Product
from twinshelf.training.data.data_config import (
    AugmentationConfig,
    ImageAugmentationConfig,
    TextAugmentationConfig,
)
from twinshelf.training.data.data_module import (
    MOST_WORKERS,
    ProductDataModule,
    ProductRows,
    usual_worker_count,
)
from twinshelf.training.data.pixel_cache import PhotoFiles, Pixels
from twinshelf.training.data.training_data import TrainingRows, load_training_data
from twinshelf.training.model.wordpiece import train_wordpiece
from twinshelf.training.preprocessing.images import decode_image
from twinshelf.training.preprocessing.settings import PreprocessingSettings
from twinshelf.training.preprocessing.texts import normalise_text
from twinshelf.training.preprocessing.tokens import TextTokenizer

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def loaders(tmp_path_factory: pytest.TempPathFactory) -> ProductDataModule:
    folder = tmp_path_factory.mktemp("feeding")
    write_small_catalogue(folder / "data")
    config = small_config(folder)
    train_wordpiece(["red paint 1 l"], 300).save(str(folder / "tokenizer.json"))
    module = ProductDataModule(
        load_training_data(config.data, config.seed),
        config.data,
        config.preprocessing,
        TextTokenizer(folder / "tokenizer.json", config.preprocessing),
        sampler=config.sampler,
        augmentation=config.augmentation,
        seed=config.seed,
    )
    module.prepare_data()
    module.setup("fit")
    return module


def photos_of(loaders: ProductDataModule) -> Pixels | PhotoFiles:
    assert loaders.photos is not None
    return loaders.photos


def test_training_batches_have_p_times_k_rows_of_trained_groups(loaders: ProductDataModule) -> None:
    for batch in loaders.train_dataloader():
        assert batch.pixels.shape == (9, 3, 32, 32)
        assert batch.pixels.dtype == torch.uint8
        assert batch.input_ids.shape == batch.attention_mask.shape
        assert batch.input_ids.shape[1] in (8, 16)
        assert len(set(batch.labels.tolist())) == 3
        assert batch.labels.max() < loaders.data.group_count
    assert loaders.data.group_count == 4


def test_processes_beside_the_main_one_feed_as_it_does(
    loaders: ProductDataModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = [batch.labels.tolist() for batch in loaders.train_dataloader()]
    monkeypatch.setattr(loaders, "config", replace(loaders.config, worker_count=2))
    batches = list(loaders.train_dataloader())
    assert [batch.labels.tolist() for batch in batches] == labels
    assert len({batch.pixels.numpy().tobytes() for batch in batches}) == len(batches)


def test_a_gpu_is_fed_by_as_many_processes_as_there_are_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(8))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert usual_worker_count() == 0
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert usual_worker_count() == 7
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(64))
    assert usual_worker_count() == MOST_WORKERS


def test_embedding_rows_are_the_main_photo_in_order(loaders: ProductDataModule) -> None:
    gallery = loaders.data.gallery
    (batch,) = list(loaders.embedding_loader(gallery))
    for row, product in enumerate(gallery.products):
        expected = decode_image(product.images[0].read_bytes(), loaders.settings)
        assert np.array_equal(batch.pixels[row].numpy(), expected)
    assert batch.labels.tolist() == gallery.labels.tolist()


def test_missing_modalities_are_marked(loaders: ProductDataModule) -> None:
    products = [
        Product(product_id="a", title="red paint"),
        Product(product_id="b", images=loaders.data.gallery.products[0].images),
    ]
    rows = TrainingRows(
        products=map_rows(products)[0],
        labels=np.zeros(2, np.int64),
        is_catalogue=np.zeros(2, np.bool_),
    )
    (batch,) = list(loaders.embedding_loader(rows))
    assert batch.has_image.tolist() == [False, True]
    assert batch.has_text.tolist() == [True, False]
    assert not batch.pixels[0].any()


def test_blank_pictures_are_as_large_as_the_varied_ones(loaders: ProductDataModule) -> None:
    products = [Product(product_id="a"), loaders.data.gallery.products[0]]
    small = AugmentationConfig(image=ImageAugmentationConfig(size_px=16))
    rows = ProductRows(
        products, [0, 1], photos_of(loaders), loaders.settings, is_passage=[False] * 2,
        augmentation=small,
    )  # fmt: skip
    batch = loaders.collator([rows[0], rows[1]])
    assert batch.pixels.shape == (2, 3, 16, 16)
    assert not batch.pixels[0].any()


def test_batches_are_varied_by_one_thread_and_learnt_from_by_all(
    loaders: ProductDataModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []

    def read(self: ProductRows, index: int) -> None:
        threads.append(torch.get_num_threads())
        if index:
            raise OSError

    monkeypatch.setattr(ProductRows, "__getitem__", read)
    loader = loaders.train_dataloader()
    before = torch.get_num_threads()
    for indices in ([0, 0], [1]):
        with suppress(OSError):
            loader.dataset.__getitems__(indices)  # type: ignore[attr-defined]
    assert set(threads) == {1}
    assert torch.get_num_threads() == before


def test_validation_offers_and_gallery_share_their_numbers(loaders: ProductDataModule) -> None:
    queries, gallery = loaders.val_dataloader()
    gallery_labels = {int(label) for batch in gallery for label in batch.labels}
    query_labels = {int(label) for batch in queries for label in batch.labels}
    assert query_labels
    assert query_labels <= gallery_labels
    assert min(query_labels) >= loaders.data.group_count


def test_prefixes_tell_offers_from_catalogue_products(loaders: ProductDataModule) -> None:
    settings = PreprocessingSettings(query_prefix="query: ", passage_prefix="passage: ")
    products = [Product(product_id=name, title="red paint") for name in ("offer", "product")]
    rows = ProductRows(products, [0, 0], photos_of(loaders), settings, is_passage=[False, True])
    texts = [normalise_text(row.text, settings) for row in (rows[0], rows[1])]
    assert texts == ["query: red paint", "passage: red paint"]


def test_variation_is_repeated_by_the_seed_and_differs_between_readings(
    loaders: ProductDataModule,
) -> None:
    product = Product(product_id="a", title="bright yellow wall paint for every room", brand="X")
    augmentation = AugmentationConfig(text=TextAugmentationConfig(drop_word=0.5))
    rows = [
        ProductRows(
            [product],
            [0],
            photos_of(loaders),
            loaders.settings,
            is_passage=[False],
            augmentation=augmentation,
            seed=seed,
        )
        for seed in (1, 1)
    ]
    readings = [[row[0].text for _ in range(5)] for row in rows]
    assert readings[0] == readings[1]
    assert len(set(readings[0])) > 1


def test_photos_are_decoded_at_each_reading_where_there_is_no_cache(
    loaders: ProductDataModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cached,) = list(loaders.embedding_loader(loaders.data.gallery))
    monkeypatch.setattr(loaders, "photos", PhotoFiles(loaders.settings))
    (read,) = list(loaders.embedding_loader(loaders.data.gallery))
    assert torch.equal(read.pixels, cached.pixels)
    assert read.has_image.tolist() == cached.has_image.tolist()
