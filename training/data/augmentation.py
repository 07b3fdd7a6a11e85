"""Augmentation: the same product, photographed and titled once more."""

from __future__ import annotations

import random
from collections.abc import Mapping

import torch
from torchvision.transforms import v2

from twinshelf.training.data.data_config import ImageAugmentationConfig, TextAugmentationConfig

TextFields = Mapping[str, str | Mapping[str, str]]
WHITE = 255


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
