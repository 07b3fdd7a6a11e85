"""Labelled pairs to train on or to score: files in Ditto's form, or the tables of Ozon's E-CUP.

Ditto: FOLDER/train.txt and FOLDER/valid.txt, or any file alone. E-CUP: a folder that holds
train.parquet, attributes.parquet, text_and_bert.parquet and resnet.parquet, or any Parquet file of
pairs beside these tables. Raw fields of E-CUP become records; its precomputed vectors become
cosines, in the very places of an encoder's: embeddings of the name as text, of the pictures as
image, and beside these the cosine of the main pictures, which an encoder does not give. Without
resnet.parquet, or with an encoder that gives the cosines, raw fields are all.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from twinshelf.client.files.forms.stored_bytes import PARQUET_SUFFIXES
from twinshelf.client.files.rows import BadRow
from twinshelf.training.catalogues.ecup import (
    PAIRS,
    PICTURES,
    read_ecup_pairs,
    read_ecup_vectors,
)
from twinshelf.training.catalogues.entity_pairs import read_entity_pairs
from twinshelf.training.catalogues.product import Pair, Product
from twinshelf.training.pairs.cosines import compare_vectors
from twinshelf.training.pairs.features import NO_COSINES, Cosines
from twinshelf.training.pairs.pair_config import HeldOutConfig

# Chains of pairs longer than the share cannot be held out; when less than this part of the share
# is left to draw from, validation would say too little.
_LEAST_FILLED = 0.5
Mask = npt.NDArray[np.bool_]
TRAIN, VALIDATION = "train.txt", "valid.txt"
logger = logging.getLogger(__name__)


def held_out_rows(pairs: Sequence[Pair[Product]], config: HeldOutConfig) -> Mask:
    """Draws the pairs that validation scores.

    Pairs that hang together through shared products are held out together, so that a scorer is
    evaluated on products that it has not seen. Where that leaves a side without a class or less
    than half of the share, because most pairs hang together, pairs are drawn by class instead and
    the products on both sides are counted in a warning.

    Args:
        pairs: Labelled pairs (P); unless drawn by class, their order does not matter.
        config: How many are drawn, and by which seed.

    Returns:
        Whether each pair is held out, bool (P,).

    Raises:
        ValueError: If there are not two pairs of each class.
    """
    labels = np.array([pair.is_match for pair in pairs], dtype=bool)  # (P,)
    match_count = int(labels.sum())
    if min(match_count, len(labels) - match_count) < 2:
        raise ValueError(
            "holding pairs out needs two matches and two non-matches, got "
            f"{match_count} and {len(labels) - match_count}"
        )
    ids = [(pair.left.product_id, pair.right.product_id) for pair in pairs]
    # Sorted identifiers make the numbers, and so the draw, independent of the order of the pairs.
    _, flat = np.unique(np.array(ids), return_inverse=True)
    products = flat.reshape(-1, 2)  # (P, 2)
    held = _draw_components(products, config)
    is_filled = held.sum() >= _LEAST_FILLED * config.validation_share * len(labels)
    if is_filled and all(len(np.unique(labels[side])) == 2 for side in (held, ~held)):
        return held
    held = _draw_by_class(labels, config)
    shared = np.intersect1d(products[held], products[~held])
    logger.warning(
        "validation pairs were drawn one by one, because too many pairs hang together: "
        "%d products stand on both sides, so validation may look better than new products will",
        len(shared),
    )
    return held


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledPairs:
    """Pairs of records with their labels.

    Attributes:
        pairs: The pairs (P).
        cosines: Cosines of their precomputed vectors, one a pair; None where no vectors were read.
    """

    pairs: Sequence[Pair[Product]]
    cosines: Sequence[Cosines] | None = None

    @property
    def sides(self) -> list[tuple[Product, Product]]:
        """The two records of each pair."""
        return [(pair.left, pair.right) for pair in self.pairs]

    @property
    def labels(self) -> npt.NDArray[np.bool_]:
        """Whether each pair is a match, bool (P,)."""
        return np.array([pair.is_match for pair in self.pairs], dtype=bool)

    def take(self, rows: Sequence[int] | npt.NDArray[np.intp]) -> LabelledPairs:
        """Returns the pairs of these rows, in their order."""
        return LabelledPairs(
            pairs=[self.pairs[row] for row in rows],
            cosines=None if self.cosines is None else [self.cosines[row] for row in rows],
        )

    def joined(self, others: LabelledPairs) -> LabelledPairs:
        """Returns these pairs and then the others; cosines only where both have them."""
        pairs = [*self.pairs, *others.pairs]
        if self.cosines is None or others.cosines is None:
            return LabelledPairs(pairs=pairs)
        return LabelledPairs(pairs=pairs, cosines=[*self.cosines, *others.cosines])


def read_pairs(path: Path, *, with_vectors: bool = False) -> LabelledPairs:
    """Reads the pairs of a file or of an E-CUP folder; rows that are none are logged and skipped.

    Args:
        path: File in Ditto's form, Parquet file of E-CUP pairs, or folder of E-CUP's tables.
        with_vectors: Whether the precomputed vectors are read and compared; a pair with a broken
            one is skipped, too.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If a column is missing, no row is a pair, all are of one class, or there are no
            vectors to read.
    """
    pairs: list[Pair[Product]] = []
    cosines: list[Cosines] = []
    bad_count = 0
    for row, cosine in _read_rows(path, with_vectors):
        if isinstance(row, BadRow):
            logger.warning("skipped %s", row)
            bad_count += 1
        else:
            pairs.append(row)
            cosines.append(cosine)
    if bad_count:
        logger.warning("%s: skipped %d rows, kept %d pairs", path, bad_count, len(pairs))
    if len({pair.is_match for pair in pairs}) < 2:
        raise ValueError(
            f"{path} needs matches and non-matches, got {len(pairs)} pairs of one class"
        )
    return LabelledPairs(pairs=pairs, cosines=cosines if with_vectors else None)


def read_training_pairs(
    path: Path, held_out: HeldOutConfig, *, with_encoder: bool
) -> tuple[LabelledPairs, LabelledPairs]:
    """Reads the pairs to learn from and those to choose on.

    Args:
        path: Folder of train.txt and valid.txt, or of E-CUP's tables, or Parquet file of E-CUP
            pairs beside these.
        held_out: How the pairs to choose on are drawn from E-CUP's.
        with_encoder: Whether an encoder gives the cosines; precomputed vectors are then not read.

    Raises:
        FileNotFoundError: If there are no pairs, or a table is missing.
        ValueError: If the pairs cannot be learnt from, or the folder holds both kinds.
    """
    table, is_ditto = _table_of(path), (path / TRAIN).is_file()
    if is_ditto and table.is_file():
        raise ValueError(f"{path} holds both {TRAIN} and {table.name}; expected one of them")
    if is_ditto:
        return read_pairs(path / TRAIN), read_pairs(path / VALIDATION)
    if not (table.is_file() and _is_parquet(table)):
        raise FileNotFoundError(f"{path} holds neither {TRAIN} (Ditto's form) nor {PAIRS} (E-CUP)")
    pictures = table.with_name(PICTURES)
    with_vectors = not with_encoder and pictures.is_file()
    if not (with_vectors or with_encoder):
        logger.warning("there is no %s: only raw fields are compared", pictures)
    pairs = read_pairs(table, with_vectors=with_vectors)
    try:
        held = held_out_rows(pairs.pairs, held_out)
    except ValueError as error:
        raise ValueError(f"{table}: {error}") from error
    return pairs.take(np.flatnonzero(~held)), pairs.take(np.flatnonzero(held))


def _draw_components(products: npt.NDArray[np.intp], config: HeldOutConfig) -> Mask:
    """Draws whole components of pairs while they fit into the share."""
    count = int(products.max()) + 1
    edges = (np.ones(len(products), np.int8), (products[:, 0], products[:, 1]))
    _, component_of = connected_components(coo_array(edges, shape=(count, count)), directed=False)
    component = component_of[products[:, 0]]  # (P,)
    sizes = np.bincount(component)
    is_held = np.zeros(len(sizes), dtype=bool)
    room = max(1, round(config.validation_share * len(products)))
    for number in np.random.default_rng(config.seed).permutation(len(sizes)):
        if sizes[number] <= room:
            is_held[number] = True
            room -= sizes[number]
    return np.asarray(is_held[component])


def _draw_by_class(labels: Mask, config: HeldOutConfig) -> Mask:
    generator = np.random.default_rng(config.seed)
    held = np.zeros(len(labels), dtype=bool)
    for rows in (np.flatnonzero(labels), np.flatnonzero(~labels)):
        count = min(len(rows) - 1, max(1, round(config.validation_share * len(rows))))
        held[generator.permutation(rows)[:count]] = True
    return held


def _table_of(path: Path) -> Path:
    return path / PAIRS if path.is_dir() else path


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() in PARQUET_SUFFIXES


def _read_rows(path: Path, with_vectors: bool) -> Iterator[tuple[Pair[Product] | BadRow, Cosines]]:
    """Yields rows with the cosines of their vectors, which are unknown where none are read."""
    table = _table_of(path)
    if path.is_dir() and not table.is_file():
        raise FileNotFoundError(
            f"{path} holds no {table.name}; expected a file of pairs, or a folder of E-CUP's tables"
        )
    if not _is_parquet(table):
        if with_vectors:
            raise ValueError(
                f"{path} holds no precomputed vectors, which this scorer was trained with; "
                "expected pairs of E-CUP"
            )
        yield from ((row, NO_COSINES) for row in read_entity_pairs(path))
        return
    pairs = read_ecup_pairs(table.parent, table.name)
    if not with_vectors:
        yield from ((row, NO_COSINES) for row in pairs)
        return
    # Both readers answer every row of the pairs, in the order of the file.
    for row, vectors in zip(pairs, read_ecup_vectors(table.parent, table.name), strict=True):
        if isinstance(row, BadRow):
            yield row, NO_COSINES
        elif isinstance(vectors, BadRow):
            yield vectors, NO_COSINES
        else:
            yield row, compare_vectors(vectors.left, vectors.right)
