"""What is told of the data: where they lie, how batches are shaped, how rows are varied.

Imports nothing heavy.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

Chance = Annotated[float, "0 to 1"]


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Where the data lie and how they are fed.

    Attributes:
        folder: Folder that `make data` wrote.
        pixel_cache: Folder of decoded photos, some 80 KB each at 160 px; null decodes them at each
            reading, for more photos than a disk holds so.
        validation_share: Share of the training groups (of the training offers, when the queries
            show groups that are also trained on) kept for validation, 0 to 0.5; 0 trains on all.
        validation_limit: About so many offers at most, whatever the share, and so many catalogue
            products that they are searched among: theirs and, of the others, some by chance.
        worker_count: Processes that augment; 0 does it in the main one. By default 0 on a CPU,
            which they would share with the step, and up to 16 beside a GPU.
        embedding_batch_size: Rows embedded at once in validation.
    """

    folder: str = ".cache/data/generated"
    pixel_cache: str | None = ".cache/pixels"
    validation_share: Annotated[float, "0 to 0.5"] = 0.1
    validation_limit: Annotated[int, "1 or more"] = 50_000
    worker_count: Annotated[int | None, "0 or more"] = None
    embedding_batch_size: Annotated[int, "1 or more"] = 64


@dataclass(frozen=True, kw_only=True)
class SamplerConfig:
    """Shape of a training batch.

    Attributes:
        groups_per_batch: P, groups in a batch, 2 or more.
        rows_per_group: K, rows of each group, 2 or more.
        with_catalogue_row: Whether one of the K rows is always a catalogue product of the group,
            where it has one, and the others are offers, where it has some: these are matched
            against those.
        similar_share: Share of the batches that are drawn from one category at a time, 0 to 1:
            near-duplicates must meet to be told apart.
        size_power: A batch draws groups with chances as (rows of the group)^size_power, 0 to 1: 0
            shows every group equally often, as products need; 1 shows every row so, as categories
            of very unequal sizes need. Batches from one category draw with 0.
    """

    groups_per_batch: Annotated[int, "2 or more"] = 16
    rows_per_group: Annotated[int, "2 or more"] = 4
    with_catalogue_row: bool = True
    similar_share: Chance = 0.5
    size_power: Chance = 0.0


@dataclass(frozen=True, kw_only=True)
class ImageAugmentationConfig:
    """How a photo is varied.

    Attributes:
        smallest_crop: Smallest share of the area that a crop keeps, above 0 to 1.
        flip: Chance to mirror left and right, 0 to 1; mirrored print hurts where it is read.
        rotation_degrees: Largest rotation to either side, 0 to 180.
        brightness: Largest relative change of brightness, 0 to 1; the same for contrast.
        saturation: Largest relative change of saturation, 0 to 1.
        hue: Largest shift of hue, 0 to 0.5; more than a little turns one product into another.
        erase: Chance that a rectangle is painted over, 0 to 1.
        size_px: Side of the varied photo, 8 or more; null keeps that of serving. A crop shows a
            product larger than the whole photo does, so a smaller side learns as well for a
            larger one, in less time (FixRes: Touvron et al., 2019, arXiv 1906.06423).
    """

    smallest_crop: Annotated[float, "above 0 and at most 1"] = 0.6
    flip: Chance = 0.5
    rotation_degrees: Annotated[float, "0 to 180"] = 10.0
    brightness: Chance = 0.2
    saturation: Chance = 0.2
    hue: Annotated[float, "0 to 0.5"] = 0.0
    erase: Chance = 0.0
    size_px: Annotated[int | None, "8 or more"] = None


@dataclass(frozen=True, kw_only=True)
class TextAugmentationConfig:
    """How the fields of an offer are varied, each value a chance from 0 to 1.

    Attributes:
        drop_field: To leave out a field other than the title; each by itself.
        title_only: To leave out all of them: many queries are a bare title.
        drop_word: To leave out a word of the title.
        swap_words: To exchange two neighbouring words of the title, once.
        typo: To misspell a word of the title by one letter.
    """

    drop_field: Chance = 0.2
    title_only: Chance = 0.3
    drop_word: Chance = 0.1
    swap_words: Chance = 0.2
    typo: Chance = 0.05


@dataclass(frozen=True, kw_only=True)
class AugmentationConfig:
    """How training rows are varied.

    Attributes:
        image: Photos.
        text: Titles and other fields.
    """

    image: ImageAugmentationConfig = field(default_factory=ImageAugmentationConfig)
    text: TextAugmentationConfig = field(default_factory=TextAugmentationConfig)
