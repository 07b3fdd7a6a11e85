"""Augmentation: the same product, photographed and titled once more."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torchvision.transforms import v2

TextFields = Mapping[str, str | Mapping[str, str]]
WHITE = 255


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

    Raises:
        ValueError: If a value is out of range.
    """

    smallest_crop: float = 0.6
    flip: float = 0.5
    rotation_degrees: float = 10.0
    brightness: float = 0.2
    saturation: float = 0.2
    hue: float = 0.0
    erase: float = 0.0
    size_px: int | None = None

    def __post_init__(self) -> None:
        """Checks the ranges."""
        if not 0 < self.smallest_crop <= 1:
            raise ValueError(
                f"augmentation.image.smallest_crop must be above 0 to 1, got {self.smallest_crop}"
            )
        if self.size_px is not None and self.size_px < 8:
            raise ValueError(f"augmentation.image.size_px must be 8 or more, got {self.size_px}")
        limits = {"flip": 1, "brightness": 1, "saturation": 1, "hue": 0.5, "erase": 1}
        for name, limit in {**limits, "rotation_degrees": 180}.items():
            if not 0 <= getattr(self, name) <= limit:
                raise ValueError(
                    f"augmentation.image.{name} must be 0 to {limit}, got {getattr(self, name)}"
                )


@dataclass(frozen=True, kw_only=True)
class TextAugmentationConfig:
    """How the fields of an offer are varied, each value a chance from 0 to 1.

    Attributes:
        drop_field: To leave out a field other than the title; each by itself.
        title_only: To leave out all of them: many queries are a bare title.
        drop_word: To leave out a word of the title.
        swap_words: To exchange two neighbouring words of the title, once.
        typo: To misspell a word of the title by one letter.

    Raises:
        ValueError: If a value is out of range.
    """

    drop_field: float = 0.2
    title_only: float = 0.3
    drop_word: float = 0.1
    swap_words: float = 0.2
    typo: float = 0.05

    def __post_init__(self) -> None:
        """Checks the ranges."""
        for name in ("drop_field", "title_only", "drop_word", "swap_words", "typo"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(
                    f"augmentation.text.{name} must be 0 to 1, got {getattr(self, name)}"
                )


@dataclass(frozen=True, kw_only=True)
class AugmentationConfig:
    """How training rows are varied.

    Attributes:
        image: Photos.
        text: Titles and other fields.
    """

    image: ImageAugmentationConfig = field(default_factory=ImageAugmentationConfig)
    text: TextAugmentationConfig = field(default_factory=TextAugmentationConfig)


def build_image_augmentation(config: ImageAugmentationConfig, image_size_px: int) -> v2.Compose:
    """Builds the transform of one picture, uint8 RGB (3, S, S) to (3, T, T).

    T is `config.size_px`, or S without it. It draws from torch's own random state: torchvision
    takes no generator.
    """
    steps: list[torch.nn.Module] = []
    side = config.size_px or image_size_px
    if config.rotation_degrees:
        steps.append(
            v2.RandomRotation(
                [-config.rotation_degrees, config.rotation_degrees],
                interpolation=v2.InterpolationMode.BILINEAR,
                fill=WHITE,
            )
        )
    if config.smallest_crop < 1 or side != image_size_px:
        steps.append(
            v2.RandomResizedCrop(
                side, scale=(config.smallest_crop, 1.0), ratio=(0.85, 1.18), antialias=True
            )
        )
    if config.flip:
        steps.append(v2.RandomHorizontalFlip(config.flip))
    if config.brightness or config.saturation or config.hue:
        steps.append(
            v2.ColorJitter(config.brightness, config.brightness, config.saturation, config.hue)
        )
    if config.erase:
        steps.append(v2.RandomErasing(config.erase, scale=(0.02, 0.2), value=WHITE // 2))
    return v2.Compose([*steps, v2.Identity()])


def vary_fields(
    fields: TextFields, config: TextAugmentationConfig, generator: random.Random
) -> dict[str, str | Mapping[str, str]]:
    """Returns the fields of an offer as another seller might write them.

    The title keeps a word at least; an offer without a title keeps its other fields.

    Args:
        fields: Field name to text, or to names and values of attributes.
        config: The chances.
        generator: Source of randomness.
    """
    title = str(fields.get("title", "")).strip()
    if not title:
        return dict(fields)
    varied: dict[str, str | Mapping[str, str]] = {}
    bare = generator.random() < config.title_only
    for name, value in fields.items():
        if name == "title":
            varied[name] = vary_title(title, config, generator)
        elif not bare and generator.random() >= config.drop_field:
            varied[name] = value
    return varied


def vary_title(title: str, config: TextAugmentationConfig, generator: random.Random) -> str:
    """Returns a title with words dropped, swapped and misspelt; never empty."""
    words = title.split()
    kept = [word for word in words if generator.random() >= config.drop_word]
    words = kept or [generator.choice(words)]
    if len(words) > 1 and generator.random() < config.swap_words:
        place = generator.randrange(len(words) - 1)
        words[place], words[place + 1] = words[place + 1], words[place]
    return " ".join(
        misspell(word, generator) if generator.random() < config.typo else word for word in words
    )


def misspell(word: str, generator: random.Random) -> str:
    """Returns a word with one letter dropped, doubled or exchanged with the next.

    Short words and words with digits stay: another digit is another product.
    """
    if len(word) < 4 or any(c.isdigit() for c in word):
        return word
    place = generator.randrange(len(word) - 1)
    head, pair, tail = word[:place], word[place : place + 2], word[place + 2 :]
    return head + generator.choice([pair[1], pair[0] + pair, pair[::-1]]) + tail
