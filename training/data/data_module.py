"""Feeding: products become batches of pixels, tokens and group numbers."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import lightning as L
import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info

from twinshelf.training.catalogues.mapped_products import Numbers, number_texts
from twinshelf.training.catalogues.product import Product
from twinshelf.training.data.augmentation import build_image_augmentation, vary_fields
from twinshelf.training.data.data_config import AugmentationConfig, DataConfig, SamplerConfig
from twinshelf.training.data.pixel_cache import PhotoFiles, Pixels, open_photos
from twinshelf.training.data.sampler import GroupBatchSampler
from twinshelf.training.data.training_data import TrainingData, TrainingRows, text_fields
from twinshelf.training.preprocessing.settings import PreprocessingSettings
from twinshelf.training.preprocessing.texts import join_fields
from twinshelf.training.preprocessing.tokens import TextTokenizer

RGB = 3
MOST_WORKERS = 16


class Batch(NamedTuple):
    """Rows to embed; a named tuple, because Lightning moves its tensors to the device by itself.

    Attributes:
        pixels: RGB, uint8 (B, 3, S, S); zeros where there is no photo.
        has_image: Rows with a photo, bool (B,).
        input_ids: Token ids, int64 (B, L).
        attention_mask: One for tokens, zero for padding, int64 (B, L).
        has_text: Rows with a text, bool (B,).
        labels: Group number, int64 (B,).
    """

    pixels: torch.Tensor
    has_image: torch.Tensor
    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    has_text: torch.Tensor
    labels: torch.Tensor


class Row(NamedTuple):
    """One row before it joins a batch.

    Attributes:
        pixels: RGB, uint8 (3, S, S); None without a photo.
        text: Joined fields; empty without any.
        label: Group number.
    """

    pixels: torch.Tensor | None
    text: str
    label: int


class ProductRows(Dataset[Row]):
    """Products as rows, varied anew at each reading when an augmentation is given.

    Args:
        products: The rows.
        labels: Group number of each.
        photos: Where photos are read.
        settings: How texts are joined.
        is_passage: Which are catalogue products: their text gets the passage prefix.
        augmentation: How rows are varied; None gives the main photo and all fields.
        seed: Seed of the variation.
    """

    def __init__(
        self,
        products: Sequence[Product],
        labels: Sequence[int] | Numbers,
        photos: Pixels | PhotoFiles,
        settings: PreprocessingSettings,
        *,
        is_passage: Sequence[bool] | npt.NDArray[np.bool_],
        augmentation: AugmentationConfig | None = None,
        seed: int = 0,
    ) -> None:
        self.products, self.labels, self.photos = products, labels, photos
        self.settings, self.is_passage = settings, is_passage
        self.augmentation = augmentation
        self.vary_image = (
            build_image_augmentation(augmentation.image, settings.image_size_px)
            if augmentation
            else None
        )
        self.generator = random.Random(seed)

    def __len__(self) -> int:
        return len(self.products)

    def __getitem__(self, index: int) -> Row:
        product = self.products[index]
        pixels = self._pixels(product)
        text = self._text(product, is_passage=bool(self.is_passage[index]))
        return Row(pixels, text, int(self.labels[index]))

    def __getitems__(self, indices: Sequence[int]) -> list[Row]:
        """Returns the rows of a batch, made by one thread of torch's.

        Several gain nothing on single photos. Beside other work they wait for one another at every
        step of every photo: a batch of 64 took 2.5 s with two threads, .07 s with one.
        """
        thread_count = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return [self[index] for index in indices]
        finally:
            torch.set_num_threads(thread_count)

    def _pixels(self, product: Product) -> torch.Tensor | None:
        paths = self.photos.readable(product.images)
        if not paths:
            return None
        read = self.photos.read(self.generator.choice(paths) if self.vary_image else paths[0])
        if read is None:
            return None
        pixels = torch.from_numpy(read)
        return self.vary_image(pixels) if self.vary_image else pixels

    def _text(self, product: Product, *, is_passage: bool) -> str:
        fields = text_fields(product)
        if self.augmentation:
            fields = vary_fields(fields, self.augmentation.text, self.generator)
        prefix = self.settings.passage_prefix if is_passage else self.settings.query_prefix
        return join_fields(fields, self.settings, prefix=prefix)


class Collator:
    """Joins rows into a batch.

    Args:
        tokenizer: Texts to token ids.
        image_size_px: Side of a blank picture where no row has a photo.
    """

    def __init__(self, tokenizer: TextTokenizer, image_size_px: int) -> None:
        self.tokenizer, self.image_size_px = tokenizer, image_size_px

    def __call__(self, rows: Sequence[Row]) -> Batch:
        """Returns the rows as one batch."""
        # Varied photos may be smaller than those served.
        sides = [row.pixels.shape[-1] for row in rows if row.pixels is not None]
        side = sides[0] if sides else self.image_size_px
        blank = torch.zeros(RGB, side, side, dtype=torch.uint8)
        tokens = self.tokenizer.encode([row.text for row in rows])
        return Batch(
            pixels=torch.stack([blank if row.pixels is None else row.pixels for row in rows]),
            has_image=torch.tensor([row.pixels is not None for row in rows]),
            input_ids=torch.from_numpy(tokens.input_ids),
            attention_mask=torch.from_numpy(tokens.attention_mask),
            has_text=torch.from_numpy(tokens.has_text),
            labels=torch.tensor([row.label for row in rows]),
        )


class ProductDataModule(L.LightningDataModule):
    """Loaders of training, validation and gallery rows.

    Args:
        data: The products.
        config: How they are fed.
        settings: How photos and texts become tensors.
        tokenizer: Texts to token ids.
        sampler: Shape of a training batch.
        augmentation: How training rows are varied.
        seed: Seed of every choice.
        first_epoch: Epoch that training begins with, above 0 where it is resumed.
    """

    def __init__(
        self,
        data: TrainingData,
        config: DataConfig,
        settings: PreprocessingSettings,
        tokenizer: TextTokenizer,
        *,
        sampler: SamplerConfig,
        augmentation: AugmentationConfig,
        seed: int,
        first_epoch: int = 0,
    ) -> None:
        """Opens nothing; photos are decoded in `prepare_data`."""
        super().__init__()
        self.data, self.config, self.settings = data, config, settings
        self.collator = Collator(tokenizer, settings.image_size_px)
        self.sampler, self.augmentation, self.seed = sampler, augmentation, seed
        self.first_epoch = first_epoch
        self.photos: Pixels | PhotoFiles | None = None

    def prepare_data(self) -> None:
        """Decodes the photos, on one process of each machine."""
        self.photos = self._open_photos()

    def setup(self, stage: str) -> None:
        """Maps the decoded photos."""
        del stage
        self.photos = self.photos or self._open_photos()

    def train_dataloader(self) -> DataLoader[Row]:
        """Returns batches of P groups with K varied rows each."""
        train = self.data.train
        trainer = self.trainer
        rows = self._rows(train, self.augmentation)
        sampler = GroupBatchSampler(
            train.labels,
            self.sampler,
            seed=self.seed,
            is_catalogue=train.is_catalogue,
            categories=number_texts(train.products.texts("category"), by_name=True)[0],
            rank=trainer.global_rank if trainer else 0,
            process_count=trainer.world_size if trainer else 1,
        )
        # The trainer, which asks for the loader before it reads the state, would say 0.
        sampler.set_epoch(self.first_epoch)
        asked = self.config.worker_count
        worker_count = usual_worker_count() if asked is None else asked
        return DataLoader(
            rows,
            batch_sampler=sampler,
            collate_fn=self.collator,
            num_workers=worker_count,
            persistent_workers=worker_count > 0,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=reseed_rows,
        )

    def val_dataloader(self) -> list[DataLoader[Row]]:
        """Returns the validation offers, then the gallery; none when there are no offers."""
        if not self.data.validation:
            return []
        return [self.embedding_loader(part) for part in (self.data.validation, self.data.gallery)]

    def embedding_loader(self, rows: TrainingRows) -> DataLoader[Row]:
        """Returns batches of rows as they are, in their order."""
        return DataLoader(
            self._rows(rows, None),
            batch_size=self.config.embedding_batch_size,
            collate_fn=self.collator,
        )

    def _rows(self, rows: TrainingRows, augmentation: AugmentationConfig | None) -> ProductRows:
        assert self.photos is not None, "setup comes before the loaders"
        return ProductRows(
            rows.products,
            rows.labels,
            self.photos,
            self.settings,
            is_passage=rows.is_catalogue,
            augmentation=augmentation,
            seed=self.seed,
        )

    def _open_photos(self) -> Pixels | PhotoFiles:
        # Training may show any photo of a product; search sees the main one.
        trained = (path for paths in self.data.train.products.images() for path in paths)
        searched = (
            paths[0]
            for part in (self.data.validation, self.data.gallery)
            for paths in part.products.images()
        )
        return open_photos(chain(trained, searched), self.settings, self.config.pixel_cache)


def usual_worker_count() -> int:
    """Returns how many processes augment beside a GPU: one makes 200 photos a second at most."""
    if not torch.cuda.is_available():
        return 0
    return min(MOST_WORKERS, len(os.sched_getaffinity(0)) - 1)


def reseed_rows(worker_number: int) -> None:
    """Gives each loader process its own variations; called by the loader in that process."""
    del worker_number
    worker = get_worker_info()
    if worker is not None:
        worker.dataset.generator = random.Random(worker.seed)  # type: ignore[attr-defined]
