"""Packages and photos: every form can be drawn, and near-duplicates look different."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.generated_catalogue.assortment import (
    LAYOUTS,
    ORNAMENTS,
    Item,
    assemble_assortment,
)
from tests.generated_catalogue.flat_packages import FOLDED
from tests.generated_catalogue.packaging import ROUND_FORMS, draw_package
from tests.generated_catalogue.scenes import (
    BACKGROUNDS,
    SELLER_MARKS,
    shoot_offer,
    shoot_studio,
)
from tests.generated_catalogue.vocabulary import KINDS, VARIANTS


@pytest.fixture(scope="module")
def item() -> Item:
    return assemble_assortment(1, seed=1)[0]


def _pixels(picture: Image.Image) -> np.ndarray:
    small = picture.convert("RGB").resize((64, 64))
    return np.asarray(small, np.float32)


@pytest.mark.parametrize("form", [*ROUND_FORMS, *FOLDED])
def test_each_form_is_a_cut_out_in_either_size(form: str, item: Item) -> None:
    shaped = replace(item, design=replace(item.design, form=form))
    small = draw_package(replace(shaped, size_rank=0))
    large = draw_package(replace(shaped, size_rank=1))
    for package in (small, large):
        assert package.mode == "RGBA"
        assert package.getchannel("A").getextrema() == (0, 255)
        assert 120 <= min(package.size) and max(package.size) <= 520
    assert abs(small.width / small.height - large.width / large.height) > 0.02


@pytest.mark.parametrize("layout", LAYOUTS)
def test_brand_and_variant_show_on_each_layout(layout: str, item: Item) -> None:
    shaped = replace(item, design=replace(item.design, layout=layout))
    other_brand = replace(item.brand, name="Another", colour=(10, 200, 90), mark="bars")
    other_variant = VARIANTS["blue"] if item.variant.english != "blue" else VARIANTS["red"]
    plain = _pixels(draw_package(shaped))
    rebranded = _pixels(draw_package(replace(shaped, brand=other_brand)))
    recoloured = _pixels(draw_package(replace(shaped, variant=other_variant)))
    assert np.abs(plain - rebranded).mean() > 2
    assert np.abs(plain - recoloured).mean() > 4


@pytest.mark.parametrize("ornament", ORNAMENTS)
def test_each_ornament_can_be_drawn(ornament: str, item: Item) -> None:
    package = draw_package(replace(item, design=replace(item.design, ornament=ornament)))
    assert len(package.convert("RGB").getcolors(1 << 20) or ()) > 100


def test_every_kind_names_forms_and_variants_that_exist() -> None:
    for kind in KINDS:
        assert set(kind.forms) <= {*ROUND_FORMS, *FOLDED}
        assert set(kind.variants) <= set(VARIANTS)
        assert len(kind.sizes) == 2


@pytest.mark.parametrize("mark", SELLER_MARKS)
def test_an_offers_photo_depends_on_its_seed_alone(mark: str, item: Item) -> None:
    package = draw_package(item)
    photos = [shoot_offer(package, "Лавка24", mark, random.Random(seed)) for seed in (1, 1, 2)]
    assert photos[0].tobytes() == photos[1].tobytes() != photos[2].tobytes()
    assert all(250 <= side <= 420 for photo in photos for side in photo.size)


@pytest.mark.parametrize("background", dict.fromkeys(BACKGROUNDS))
def test_each_background_fills_its_frame(
    background: Callable[..., Image.Image], item: Item
) -> None:
    assert background((256, 340), random.Random(5)).size == (256, 340)


def test_the_studio_shows_the_whole_package_on_white(item: Item) -> None:
    photo = shoot_studio(draw_package(item))
    corners = [photo.getpixel((x, y)) for x in (0, photo.width - 1) for y in (0, 5)]
    assert corners == [(255, 255, 255)] * 4
