"""Tables of E-CUP in which names say nothing: only the vectors tell matches from others."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.training.catalogues.ecup_tables import (
    write_attributes,
    write_pairs,
    write_pictures,
    write_texts,
)

PICTURE_SIZE, NAME_SIZE = 16, 8


def make_ecup(
    folder: Path,
    *,
    pair_count: int = 200,
    held_out_count: int = 100,
    seed: int = 0,
    is_shuffled: bool = False,
    tells: str = "main",
    is_picture_shared: bool = False,
) -> None:
    """Writes the four tables, and further pairs of further products as held_out.parquet.

    Args:
        folder: Where to write.
        pair_count: Pairs of train.parquet; each has two products of its own.
        held_out_count: Pairs of held_out.parquet.
        seed: Seed of labels and vectors.
        is_shuffled: Whether vectors stand beside products at random, where they tell nothing.
        tells: What is alike in a match: "name", "main" (the main pictures) or "further" (the
            left's main picture is the right's last further one).
        is_picture_shared: Whether both sides of every pair have the same first further picture, as
            a size chart is, so that the best match of all pictures tells nothing.
    """
    folder.mkdir(exist_ok=True)
    generator = np.random.default_rng(seed)
    count = pair_count + held_out_count
    is_match = generator.random(count) < 0.4
    names = generator.normal(size=(count, 2, NAME_SIZE))
    main = generator.normal(size=(count, 2, PICTURE_SIZE))
    further = generator.normal(size=(count, 2, 2, PICTURE_SIZE))
    copies = {"name": names[:, 1], "main": main[:, 1], "further": further[:, 1, 1]}
    sources = {"name": names[:, 0], "main": main[:, 0], "further": main[:, 0]}
    # Of twice the length: vectors as published are not of unit length.
    noise = generator.normal(size=copies[tells].shape) * 0.2
    copies[tells][is_match] = 2 * (sources[tells] + noise)[is_match]
    if is_picture_shared:
        further[:, 1, 0] = further[:, 0, 0]
    ids = list(range(1000, 1000 + 2 * count))
    rows = generator.permutation(2 * count) if is_shuffled else np.arange(2 * count)
    write_attributes(folder, ids)
    write_texts(
        folder,
        ids,
        vectors=names.reshape(-1, NAME_SIZE)[rows].tolist(),
        names=["Кукла"] * len(ids),
        descriptions=["Описание"] * len(ids),
    )
    write_pictures(
        folder,
        ids,
        main=[[picture] for picture in main.reshape(-1, PICTURE_SIZE)[rows].tolist()],
        further=further.reshape(-1, 2, PICTURE_SIZE)[rows].tolist(),
    )
    pairs = [(ids[2 * row], ids[2 * row + 1], float(target)) for row, target in enumerate(is_match)]
    write_pairs(folder, pairs[:pair_count])
    write_pairs(folder, pairs[pair_count:], "held_out.parquet")
