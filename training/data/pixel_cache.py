"""The pixel cache: photos decoded once into a memory-mapped file, so that epochs decode nothing."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from twinshelf.training.files import Step, atomic_write, file_state, write_atomically
from twinshelf.training.preprocessing import images
from twinshelf.training.preprocessing.settings import PreprocessingError, PreprocessingSettings

RGB = 3
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pixels:
    """Decoded photos.

    Attributes:
        array: RGB pixels, uint8 (N, 3, S, S), mapped from a file.
        rows: Row of each photo that could be decoded.
        failures: Why each other photo could not be.
    """

    array: npt.NDArray[np.uint8]
    rows: dict[Path, int]
    failures: dict[Path, str]


def decode_once(
    paths: Sequence[Path], settings: PreprocessingSettings, cache: Path, worker_count: int = 2
) -> Pixels:
    """Decodes photos, or maps the file of an earlier call with the same ones.

    The file is found by what decides its content: the decoding code and settings, and path, size
    and time of change of each photo.

    Args:
        paths: Photos; repeated ones are decoded once.
        settings: How they become pixels.
        cache: Folder of the files; made when missing.
        worker_count: Threads; Pillow decodes outside of the interpreter lock.
    """
    unique = sorted(set(paths))
    stem = cache / _content_key(unique, settings)
    data, report = stem.with_suffix(".pixels"), stem.with_suffix(".json")
    shape = (len(unique), RGB, settings.image_size_px, settings.image_size_px)
    if not report.is_file() or not data.is_file():
        with atomic_write(data) as partial:
            failures = _decode_to_file(unique, settings, partial, shape, worker_count)
        write_atomically(
            report, json.dumps({str(path): reason for path, reason in failures.items()})
        )
    reasons = {Path(path): reason for path, reason in json.loads(report.read_text()).items()}
    for path, reason in reasons.items():
        logger.warning("left out photo %s: %s", path, reason)
    array: npt.NDArray[np.uint8] = (
        np.memmap(data, dtype=np.uint8, mode="r", shape=shape)
        if unique
        else np.zeros(shape, dtype=np.uint8)
    )
    rows = {path: row for row, path in enumerate(unique) if path not in reasons}
    return Pixels(array=array, rows=rows, failures=reasons)


def _decode_to_file(
    paths: Sequence[Path],
    settings: PreprocessingSettings,
    target: Path,
    shape: tuple[int, ...],
    worker_count: int,
) -> dict[Path, str]:
    failures: dict[Path, str] = {}
    if not paths:
        target.touch()
        return failures
    array = np.memmap(target, dtype=np.uint8, mode="w+", shape=shape)

    def decode(row: int) -> None:
        """Fills one row of the file; a photo that cannot be read leaves it black."""
        try:
            array[row] = images.decode_image(paths[row].read_bytes(), settings)
        except (PreprocessingError, OSError) as error:
            failures[paths[row]] = str(error)

    with ThreadPoolExecutor(max_workers=max(1, worker_count)) as pool:
        list(pool.map(decode, range(len(paths))))
    array.flush()
    return failures


def _content_key(paths: Sequence[Path], settings: PreprocessingSettings) -> str:
    limits = (settings.max_pixels, settings.max_decode_ms, settings.max_decode_mb)
    options = [repr((settings.image_size_px, settings.resize, *limits))]
    options += [f"{path.absolute()} {file_state(path)}" for path in paths]
    return Step(name="decode", module=images.__name__, options=tuple(options)).digest()[:32]
