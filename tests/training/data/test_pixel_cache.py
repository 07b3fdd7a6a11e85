"""The pixel cache: the same pixels as decoding, decoded once, anew when a file changes."""

import os
import tracemalloc
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Never

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from twinshelf.training.data.pixel_cache import decode_once
from twinshelf.training.preprocessing import images
from twinshelf.training.preprocessing.images import decode_image
from twinshelf.training.preprocessing.settings import PreprocessingSettings

SETTINGS = PreprocessingSettings(image_size_px=16)


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    generator = np.random.default_rng(0)
    paths = []
    for number, shape in enumerate([(30, 20, 3), (12, 40, 3), (25, 25, 3)]):
        path = tmp_path / f"{number}.jpg"
        Image.fromarray(generator.integers(0, 256, shape, dtype=np.uint8)).save(path)
        paths.append(path)
    return paths


@pytest.fixture
def decodings(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Counts the photos that are decoded."""
    counted = []

    def decode(data: bytes, settings: PreprocessingSettings) -> npt.NDArray[np.uint8]:
        counted.append(len(data))
        return decode_image(data, settings)

    monkeypatch.setattr(images, "decode_image", decode)
    return counted


@pytest.mark.slow
def test_rows_are_what_decoding_gives(photos: list[Path], tmp_path: Path) -> None:
    found = decode_once([*photos, photos[0]], SETTINGS, tmp_path / "cache")
    assert found.array.shape == (3, 3, 16, 16)
    for path in photos:
        expected = decode_image(path.read_bytes(), SETTINGS)
        assert np.array_equal(found.read(path), expected)


@pytest.mark.slow
def test_a_photo_is_decoded_once(photos: list[Path], tmp_path: Path, decodings: list[Any]) -> None:
    first = decode_once(photos, SETTINGS, tmp_path / "cache")
    assert len(decodings) == 3
    again = decode_once(list(reversed(photos)), SETTINGS, tmp_path / "cache")
    assert len(decodings) == 3
    assert np.array_equal(first.array, again.array)


def test_a_changed_photo_or_setting_is_decoded_anew(
    photos: list[Path], tmp_path: Path, decodings: list[Any]
) -> None:
    decode_once(photos, SETTINGS, tmp_path / "cache")
    Image.new("RGB", (10, 10), "red").save(photos[1])
    os.utime(photos[1], ns=(0, 0))
    found = decode_once(photos, SETTINGS, tmp_path / "cache")
    assert len(decodings) == 6
    assert found.read(photos[1])[0].min() > 250
    decode_once(photos, PreprocessingSettings(image_size_px=8), tmp_path / "cache")
    assert len(decodings) == 9


def test_a_broken_or_missing_photo_is_reported_and_the_rest_served(
    photos: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    photos[1].write_bytes(b"no picture")
    missing = tmp_path / "missing.jpg"
    for _ in range(2):
        found = decode_once([*photos, missing], SETTINGS, tmp_path / "cache")
        assert all(f"left out photo {path}: " in caplog.text for path in (photos[1], missing))
        caplog.clear()
        assert found.readable([*photos, missing]) == [photos[0], photos[2]]


def test_a_photo_that_could_not_be_read_for_once_is_read_the_next_time(
    photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(path: Path) -> Never:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", read)
        assert not decode_once(photos, SETTINGS, tmp_path / "cache").rows
    assert len(decode_once(photos, SETTINGS, tmp_path / "cache").rows) == 3


def test_a_decoding_that_breaks_off_leaves_nothing(
    photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decode(data: bytes, settings: PreprocessingSettings) -> Never:
        raise MemoryError

    cache = tmp_path / "cache"
    with monkeypatch.context() as patched, pytest.raises(MemoryError):
        patched.setattr(images, "decode_image", decode)
        decode_once(photos, SETTINGS, cache)
    assert list(cache.iterdir()) == []
    assert len(decode_once(photos, SETTINGS, cache).rows) == 3


def test_no_photos_are_no_pixels(tmp_path: Path) -> None:
    found = decode_once([], SETTINGS, tmp_path / "cache")
    assert found.array.shape == (0, 3, 16, 16)
    assert not found.rows


def peak_of_decoding(folder: Path, count: int) -> int:
    """Decodes so many photos of nothing, and returns the most bytes that Python held meanwhile."""
    blank = np.zeros((3, 16, 16), dtype=np.uint8)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(images, "decode_image", lambda *given: blank)
        decode_once([], SETTINGS, folder / "cache")
        tracemalloc.start()
        paths = (folder / f"{number:05}.jpg" for number in range(count))
        found = decode_once(paths, SETTINGS, folder / "cache")
        assert len(found.rows) == count
        return tracemalloc.get_traced_memory()[1]


@pytest.mark.slow
def test_many_photos_take_little_memory(tmp_path: Path) -> None:
    count = 12_000
    for number in range(count):
        (tmp_path / f"{number:05}.jpg").touch()
    # In a process of its own, for threads of other tests take memory, too.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert pool.submit(peak_of_decoding, tmp_path, count).result() / count < 1000
