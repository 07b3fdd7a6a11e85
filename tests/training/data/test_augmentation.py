"""Augmentation: what varies, what must not, and that zero chances change nothing."""

import random
from collections.abc import Mapping

import torch

from twinshelf.training.data.augmentation import (
    build_image_augmentation,
    misspell,
    vary_fields,
    vary_title,
)
from twinshelf.training.data.data_config import ImageAugmentationConfig, TextAugmentationConfig

OFF = TextAugmentationConfig(drop_field=0, title_only=0, drop_word=0, swap_words=0, typo=0)
FIELDS: Mapping[str, str | Mapping[str, str]] = {
    "title": "Stelton aloe gel 500 ml",
    "brand": "Stelton",
    "attributes": {"size": "500 ml"},
}


def photo() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (3, 24, 24), generator=generator, dtype=torch.uint8)


def test_a_varied_photo_keeps_shape_and_type_and_differs() -> None:
    vary = build_image_augmentation(ImageAugmentationConfig(erase=1.0, hue=0.1), 24)
    torch.manual_seed(0)
    varied = [vary(photo()) for _ in range(3)]
    assert all(v.shape == (3, 24, 24) and v.dtype == torch.uint8 for v in varied)
    assert not torch.equal(varied[0], varied[1])


def test_a_varied_photo_may_be_smaller_than_the_one_served() -> None:
    whole = ImageAugmentationConfig(
        smallest_crop=1.0,
        flip=0.0,
        rotation_degrees=0.0,
        brightness=0.0,
        saturation=0.0,
        size_px=16,
    )
    photo = torch.full((3, 32, 32), 7, dtype=torch.uint8)
    varied = build_image_augmentation(whole, 32)(photo)
    assert varied.shape == (3, 16, 16)
    assert varied.unique().tolist() == [7]


def test_photos_stay_when_everything_is_off() -> None:
    off = ImageAugmentationConfig(
        smallest_crop=1, flip=0, rotation_degrees=0, brightness=0, saturation=0
    )
    assert torch.equal(build_image_augmentation(off, 24)(photo()), photo())


def test_fields_stay_when_everything_is_off() -> None:
    assert vary_fields(FIELDS, OFF, random.Random(0)) == FIELDS


def test_title_only_leaves_nothing_but_the_title() -> None:
    config = TextAugmentationConfig(drop_field=0, title_only=1, drop_word=0, swap_words=0, typo=0)
    assert vary_fields(FIELDS, config, random.Random(0)) == {"title": FIELDS["title"]}


def test_an_offer_without_a_title_keeps_its_fields() -> None:
    fields = {"title": " ", "description": "aloe gel"}
    assert vary_fields(fields, TextAugmentationConfig(title_only=1), random.Random(0)) == fields


def test_a_title_is_never_empty() -> None:
    config = TextAugmentationConfig(drop_word=1.0)
    generator = random.Random(0)
    for _ in range(20):
        assert vary_title("aloe gel", config, generator) in {"aloe", "gel"}


def test_the_same_generator_state_gives_the_same_variation() -> None:
    config = TextAugmentationConfig(typo=0.5, drop_word=0.3)
    first = [vary_fields(FIELDS, config, random.Random(3)) for _ in range(2)]
    assert first[0] == first[1]
    assert first[0] != vary_fields(FIELDS, config, random.Random(4))


def test_numbers_and_short_words_are_never_misspelt() -> None:
    generator = random.Random(0)
    for word in ("500ml", "1.5", "gel", "5000"):
        assert all(misspell(word, generator) == word for _ in range(20))


def test_a_misspelling_changes_one_letter_in_length_at_most() -> None:
    generator = random.Random(0)
    found = {misspell("shampoo", generator) for _ in range(200)}
    assert len(found) > 10
    assert all(abs(len(word) - 7) <= 1 for word in found)
