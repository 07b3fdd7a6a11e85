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

from twinshelf.client.files.rows import BadRow
from twinshelf.client.files.stored_bytes import PARQUET_SUFFIXES
from twinshelf.training.catalogues.ecup import (
    PAIRS,
    PICTURES,
    read_ecup_pairs,
    read_ecup_vectors,
)
from twinshelf.training.catalogues.entity_pairs import read_entity_pairs
from twinshelf.training.catalogues.product import Product
from twinshelf.training.catalogues.product_pair import ProductPair
from twinshelf.training.pairs.cosines import compare_vectors
from twinshelf.training.pairs.features import Cosines
from twinshelf.training.pairs.held_out import held_out_rows
from twinshelf.training.pairs.pair_config import HeldOutConfig

TRAIN, VALIDATION = "train.txt", "valid.txt"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledPairs:
    """Pairs of records with their labels.

    Attributes:
        pairs: The pairs (P).
        cosines: Cosines of their precomputed vectors, one a pair; None where no vectors were read.
    """

    pairs: Sequence[ProductPair]
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
        cosines = (
            None
            if self.cosines is None or others.cosines is None
            else [*self.cosines, *others.cosines]
        )
        return LabelledPairs(pairs=[*self.pairs, *others.pairs], cosines=cosines)


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
    pairs: list[ProductPair] = []
    cosines: list[Cosines] = []
    bad_count = 0
    for row in _read_rows(path, with_vectors):
        if isinstance(row, BadRow):
            logger.warning("skipped %s", row)
            bad_count += 1
        elif isinstance(row, ProductPair):
            pairs.append(row)
        else:
            pairs.append(row[0])
            cosines.append(row[1])
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


def _table_of(path: Path) -> Path:
    return path / PAIRS if path.is_dir() else path


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() in PARQUET_SUFFIXES


def _read_rows(
    path: Path, with_vectors: bool
) -> Iterator[ProductPair | tuple[ProductPair, Cosines] | BadRow]:
    table = _table_of(path)
    if path.is_dir() and not table.is_file():
        raise FileNotFoundError(
            f"{path} holds no {table.name}; expected a file of pairs, or a folder of E-CUP's tables"
        )
    if _is_parquet(table):
        yield from _read_ecup(table, with_vectors)
    elif with_vectors:
        raise ValueError(
            f"{path} holds no precomputed vectors, which this scorer was trained with; expected "
            "pairs of E-CUP"
        )
    else:
        yield from read_entity_pairs(path)


def _read_ecup(
    table: Path, with_vectors: bool
) -> Iterator[ProductPair | tuple[ProductPair, Cosines] | BadRow]:
    pairs = read_ecup_pairs(table.parent, table.name)
    if not with_vectors:
        yield from pairs
        return
    # Both readers answer every row of the pairs, in the order of the file.
    for pair, vectors in zip(pairs, read_ecup_vectors(table.parent, table.name), strict=True):
        if isinstance(pair, BadRow):
            yield pair
        elif isinstance(vectors, BadRow):
            yield vectors
        else:
            yield pair, compare_vectors(vectors.left, vectors.right)
