"""The parity gate: only a version that embeds as training does is published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from twinshelf.export.encoder_models import IMAGE_ENCODER, PRODUCT_ENCODER, TEXT_ENCODER
from twinshelf.export.precision import BOUNDS, ParityBounds
from twinshelf.export.probes import photo_probes, text_probes
from twinshelf.export.reference import Tensors, TorchReference
from twinshelf.server.encoders.published_version import PublishedVersion
from twinshelf.server.encoders.python_model import RefusedInputError, bytes_column

T = TypeVar("T")


class ParityError(ValueError):
    """A published encoder that does not do what the trained one does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityReport:
    """What the gate saw.

    Attributes:
        row_count: Rows that were embedded both ways.
        embedding_difference: Largest difference of two numbers of unit embeddings.
        mean_cosine: Mean cosine of a row's two embeddings.
        least_cosine: Least of them.
    """

    row_count: int
    embedding_difference: float
    mean_cosine: float
    least_cosine: float


class ParityComparison:
    """Embeds rows both ways and refuses where they differ; keeps count of what it compared."""

    def __init__(
        self,
        reference: TorchReference,
        published: PublishedVersion,
        bounds: ParityBounds = BOUNDS["fp32"],
    ) -> None:
        """Takes both sides.

        Args:
            reference: The encoder in torch.
            published: The same as published.
            bounds: How near they must be.
        """
        self._reference, self._published, self.bounds = reference, published, bounds
        self._row_count = 0
        self._embedding_difference = 0.0
        self._cosines: list[float] = []
        self._probe_cosines: list[float] = []

    @property
    def max_batch_size(self) -> int:
        """Most rows that can be compared at once."""
        return self._published.max_batch_size

    def report(self) -> ParityReport:
        """Returns what was compared until now.

        Raises:
            ParityError: If nothing was, or embeddings are too far apart on average.
        """
        cosines = self._cosines or self._probe_cosines
        mean_cosine = float(np.mean(cosines)) if cosines else 0.0
        if mean_cosine < self.bounds.mean_cosine:
            raise ParityError(
                f"the cosine of published to trained embeddings is {mean_cosine:.4f} on average, "
                f"at least {self.bounds.mean_cosine:g} is asked for"
            )
        return ParityReport(
            row_count=self._row_count,
            embedding_difference=self._embedding_difference,
            mean_cosine=mean_cosine,
            least_cosine=min(cosines),
        )

    def photos(
        self, photos: Sequence[bytes], what: str, *, is_probe: bool = False
    ) -> tuple[Tensors, Tensors]:
        """Compares `image_encoder` on B photos.

        Args:
            photos: Bytes of each file.
            what: Name of the rows, for the message.
            is_probe: Whether they are made up, not of real data.

        Returns:
            The tensors of torch and of the published version, by name.

        Raises:
            ParityError: If pixels differ at all, or embeddings by more than the tolerance.
        """
        expected = self._reference.encode_photos(photos)
        inputs = {"IMAGE": bytes_column(photos)}
        return self._compare(IMAGE_ENCODER, what, expected, inputs, is_probe)

    def texts(
        self, texts: Sequence[str], what: str, *, is_probe: bool = False
    ) -> tuple[Tensors, Tensors]:
        """Compares `text_encoder` on B texts; as `photos`."""
        expected = self._reference.encode_texts(texts)
        inputs = {"TEXT": _utf8_column(texts)}
        return self._compare(TEXT_ENCODER, what, expected, inputs, is_probe)

    def products(
        self, photos: Sequence[bytes], texts: Sequence[str], what: str
    ) -> tuple[Tensors, Tensors]:
        """Compares `product_encoder` on B probes of photos with their texts; as `photos`."""
        expected = self._reference.encode_products(photos, texts)
        inputs = {"IMAGE": bytes_column(photos), "TEXT": _utf8_column(texts)}
        return self._compare(PRODUCT_ENCODER, what, expected, inputs, True)

    def reads(self, text: str) -> bool:
        """Says whether training finds anything in a text that it can embed."""
        return self._reference.reads(text)

    def refused_text(self, text: str) -> None:
        """Makes sure that the published version refuses a text that training cannot read.

        Raises:
            ParityError: If it answers.
        """
        try:
            self._published.run(TEXT_ENCODER, {"TEXT": _utf8_column([text])})
        except RefusedInputError:
            return
        raise ParityError(
            f"{TEXT_ENCODER} on the text {text[:24]!r}: the published version answers, though "
            "training finds nothing in it to embed"
        )

    def _compare(
        self, ensemble: str, rows: str, expected: Tensors, inputs: Tensors, is_probe: bool
    ) -> tuple[Tensors, Tensors]:
        what = f"{ensemble} on {rows}"
        try:
            found = self._published.run(ensemble, inputs)
        except Exception as error:  # whatever the runtime raises is the finding
            raise ParityError(f"{what}: the published version fails: {error}") from error
        for name, values in expected.items():
            if name not in found:
                raise ParityError(f"{what}: the published version has no tensor {name}")
            self._check(f"{what}: {name}", values, found[name], is_probe)
        self._row_count += len(next(iter(expected.values())))
        return expected, found

    def _check(
        self, what: str, expected: npt.NDArray[Any], found: npt.NDArray[Any], is_probe: bool
    ) -> None:
        if expected.shape != found.shape or expected.dtype != found.dtype:
            raise ParityError(
                f"{what} is {found.dtype} {found.shape} as published "
                f"and {expected.dtype} {expected.shape} in torch"
            )
        if np.issubdtype(expected.dtype, np.integer):
            _check_equal(what, expected, found)
            return
        difference = float(np.abs(expected - found).max(initial=0.0))
        if not difference <= self.bounds.difference:  # NaN must not pass
            raise ParityError(
                f"{what} differs by {difference:.3g} between torch and the published version, "
                f"at most {self.bounds.difference:g} is allowed"
            )
        cosines = np.einsum("bd,bd->b", expected, found)  # (B,)
        least = self.bounds.probe_cosine if is_probe else self.bounds.least_cosine
        if cosines.min() < least:
            raise ParityError(
                f"{what} has a cosine of {cosines.min():.4f} to that of torch, "
                f"at least {least:g} is asked for"
            )
        self._embedding_difference = max(self._embedding_difference, difference)
        (self._probe_cosines if is_probe else self._cosines).extend(cosines.tolist())


def compare_probes(comparison: ParityComparison) -> None:
    """Compares on raw probes: each alone, then in batches of 3 and of the most that are allowed.

    Raises:
        ParityError: If anything differs.
    """
    photos, texts = photo_probes(), []
    for text in text_probes():
        if comparison.reads(text):
            texts.append(text)
        else:
            comparison.refused_text(text)
    for photo in photos:
        comparison.photos([photo.data], f"a photo ({photo.name})", is_probe=True)
    for text in texts:
        what = f"the text {text[:24]!r} of {len(text)} characters"
        comparison.texts([text], what, is_probe=True)
    for size in (1, 3, comparison.max_batch_size):
        some_photos = _take([photo.data for photo in photos], size)
        # From the other end, so that the batch of one has the longest text.
        some_texts = _take(texts[::-1], size)
        rows = f"a batch of {size}"
        comparison.photos(some_photos, rows, is_probe=True)
        comparison.texts(some_texts, rows, is_probe=True)
        comparison.products(some_photos, some_texts, rows)


def _utf8_column(texts: Sequence[str]) -> npt.NDArray[Any]:
    return bytes_column([text.encode() for text in texts])


def _take(rows: Sequence[T], count: int) -> list[T]:
    return list(islice(cycle(rows), count))


def _check_equal(what: str, expected: npt.NDArray[Any], found: npt.NDArray[Any]) -> None:
    if wrong := int((expected != found).sum()):
        largest = int(np.abs(expected.astype(np.int64) - found.astype(np.int64)).max())
        raise ParityError(
            f"{what} differs in {wrong} of {expected.size} values, by up to {largest}, "
            "between training's preprocessing and the published one; none is allowed"
        )
