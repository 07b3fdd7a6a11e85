"""The pixel cache: photos decoded once into a memory-mapped file, so that epochs decode nothing."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from twinshelf.training.catalogues.lookup import blocks
from twinshelf.training.files import Step, atomic_write, file_state, write_json
from twinshelf.training.preprocessing import images
from twinshelf.training.preprocessing.settings import PreprocessingError, PreprocessingSettings

RGB = 3
THREAD_COUNT = 2
WAITING_COUNT = 1024  # photos that the threads are given at once
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pixels:
    """Decoded photos.

    Attributes:
        array: RGB pixels, uint8 (N, 3, S, S), mapped from a file.
        rows: Row of each photo that could be decoded.
    """

    array: npt.NDArray[np.uint8]
    rows: dict[str, int]  # a path takes four times the memory

    def readable(self, paths: Sequence[Path]) -> list[Path]:
        """Returns those of some photos that could be decoded."""
        return [path for path in paths if str(path) in self.rows]

    def read(self, path: Path) -> npt.NDArray[np.uint8]:
        """Returns the pixels of a photo that could be decoded (3, S, S)."""
        return np.array(self.array[self.rows[str(path)]])


class PhotoFiles:
    """Photos that are decoded at each reading, as `Pixels` are read.

    Args:
        settings: How they become pixels.
    """

    def __init__(self, settings: PreprocessingSettings) -> None:
        self._settings = settings

    def readable(self, paths: Sequence[Path]) -> list[Path]:
        """Returns all of them: which ones can be decoded is not known."""
        return list(paths)

    def read(self, path: Path) -> npt.NDArray[np.uint8] | None:
        """Returns the pixels of a photo (3, S, S), or None where it cannot be decoded."""
        try:
            return images.decode_image(path.read_bytes(), self._settings)
        except (PreprocessingError, OSError) as error:
            logger.warning("left out photo %s: %s", path, error)
            return None


def open_photos(
    paths: Iterable[Path], settings: PreprocessingSettings, cache: str | None
) -> Pixels | PhotoFiles:
    """Decodes photos once, or, without a cache, at each reading; see `DataConfig.pixel_cache`."""
    if cache is None:
        return PhotoFiles(settings)
    return decode_once(paths, settings, Path(cache))


def decode_once(paths: Iterable[Path], settings: PreprocessingSettings, cache: Path) -> Pixels:
    """Decodes photos, or maps the file of an earlier call with the same ones.

    The file is found by what decides its content: the decoding code and settings, and path, size
    and time of change of each photo. Where one could not be read, the next call decodes anew.

    Args:
        paths: Photos; repeated ones are decoded once.
        settings: How they become pixels.
        cache: Folder of the files; made when missing.
    """
    unique = sorted(set(map(str, paths)))
    shape = (len(unique), RGB, settings.image_size_px, settings.image_size_px)
    if not unique:
        return Pixels(array=np.zeros(shape, dtype=np.uint8), rows={})
    stem = cache / _content_key(unique, settings)
    data, report = stem.with_suffix(".pixels"), stem.with_suffix(".json")
    if report.is_file() and data.is_file():
        failures = json.loads(report.read_text("utf-8"))
    else:
        report.unlink(missing_ok=True)
        with atomic_write(data) as partial:
            errors = _decode_to_file(unique, settings, partial, shape)
        failures = {name: str(error) for name, error in errors.items()}
        # What could not be read may be another time; that a file is missing is in the key.
        lasting = PreprocessingError | FileNotFoundError
        if all(isinstance(error, lasting) for error in errors.values()):
            write_json(report, failures)
    for name, reason in failures.items():
        logger.warning("left out photo %s: %s", name, reason)
    rows = {path: row for row, path in enumerate(unique) if path not in failures}
    return Pixels(array=np.memmap(data, dtype=np.uint8, mode="r", shape=shape), rows=rows)


def _decode_to_file(
    paths: Sequence[str], settings: PreprocessingSettings, target: Path, shape: tuple[int, ...]
) -> dict[str, Exception]:
    """Returns which photos could not be decoded, and why."""
    failures: dict[str, Exception] = {}
    array = np.memmap(target, dtype=np.uint8, mode="w+", shape=shape)

    def decode(row: int) -> None:
        """Fills one row of the file; a photo that cannot be read leaves it black."""
        try:
            array[row] = images.decode_image(Path(paths[row]).read_bytes(), settings)
        except (PreprocessingError, OSError) as error:
            failures[paths[row]] = error

    # Pillow decodes outside of the interpreter lock.
    with ThreadPoolExecutor(max_workers=THREAD_COUNT) as pool:
        for rows in blocks(range(len(paths)), WAITING_COUNT):
            list(pool.map(decode, rows))
    array.flush()
    return failures


def _content_key(paths: Sequence[str], settings: PreprocessingSettings) -> str:
    limits = (settings.max_pixels, settings.max_decode_ms, settings.max_decode_mb)
    photos = hashlib.sha256()
    for path in map(Path, paths):
        photos.update(os.fsencode(f"{path.absolute()} {file_state(path)}\n"))
    options = (repr((settings.image_size_px, settings.resize, *limits)), photos.hexdigest())
    return Step(name="decode", module=images.__name__, options=options).digest()[:32]
