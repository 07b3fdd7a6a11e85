"""Photos that visitors search with."""

from __future__ import annotations

import pytest

from tests.client.web.conftest import PNG
from twinshelf.client.web.kept_photos import KeptPhotos


def test_the_photos_used_last_are_kept_within_the_bound() -> None:
    photos = KeptPhotos(limit_bytes=3 * len(PNG) + 10)
    names = [photos.keep(PNG + bytes([number])) for number in range(3)]
    assert photos.find(names[0])
    last = photos.keep(PNG + b"9")
    assert [bool(photos.find(name)) for name in [*names, last]] == [True, False, True, True]


def test_a_photo_is_named_by_its_content() -> None:
    photos = KeptPhotos()
    assert photos.keep(PNG) == photos.keep(PNG) and photos.find("other") == b""


def test_a_photo_above_the_bound_is_not_kept() -> None:
    photos = KeptPhotos(limit_bytes=5)
    assert photos.find(photos.keep(PNG)) == b""


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"<svg>", b"RIFF0000AVI "])
def test_only_photos_are_kept(data: bytes) -> None:
    with pytest.raises(ValueError, match="JPEG, PNG or WebP"):
        KeptPhotos().keep(data)
