"""Small tables of exactly the form in which Ozon publishes E-CUP matching."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

FLOATS = pa.list_(pa.float32())
PICTURE_SIZE, NAME_SIZE = 4, 3
IDS = [11, 12, 13, 14]


def write_tables(folder: Path) -> None:
    """Writes all four: three pairs of the products `IDS`, the first of them a match."""
    write_pairs(folder, [(11, 12, 1), (13, 14, 0), (11, 13, 0)])
    write_attributes(folder, IDS)
    write_texts(folder, IDS)
    write_pictures(folder, IDS)


def write_pairs(
    folder: Path, pairs: Sequence[tuple[int, int | None, float]], name: str = "train.parquet"
) -> None:
    left, right, target = (list(column) for column in zip(*pairs, strict=True))
    columns = {"variantid1": left, "variantid2": right, "target": pa.array(target, pa.float64())}
    pq.write_table(pa.table(columns), folder / name)


def write_attributes(folder: Path, ids: list[int]) -> None:
    categories = json.dumps({"2": "Игрушки", "1": "EPG", "10": "Куклы"}, ensure_ascii=False)
    mapping = json.dumps({"Цвет": ["белый", "красный"], "Бренд": ["Nobrand"]}, ensure_ascii=False)
    columns = {
        "variantid": ids,
        "categories": [categories] * len(ids),
        "characteristic_attributes_mapping": [mapping] * len(ids),
    }
    pq.write_table(pa.table(columns), folder / "attributes.parquet")


def write_texts(
    folder: Path,
    ids: list[int],
    vectors: Sequence[list[float] | None] | None = None,
    names: list[str] | None = None,
    descriptions: list[str] | None = None,
) -> None:
    written = [f"<p>Описание {number}</p>" if number % 2 else None for number in ids]
    vectors = vectors or [np.full(NAME_SIZE, number, np.float32).tolist() for number in ids]
    columns = {
        "variantid": ids,
        "name": names or [f"Кукла {number}" for number in ids],
        "description": descriptions or written,
        "name_bert_64": pa.array(vectors, FLOATS),
    }
    pq.write_table(pa.table(columns), folder / "text_and_bert.parquet")


def write_pictures(
    folder: Path,
    ids: list[int],
    main: list[list[list[float]] | None] | None = None,
    further: Sequence[Sequence[Sequence[float | None]] | None] | None = None,
) -> None:
    main = main or [[[float(number)] * PICTURE_SIZE] for number in ids]
    further = further or [[[0.5] * PICTURE_SIZE] * n or None for n in range(len(ids))]
    columns = {
        "variantid": ids,
        "main_pic_embeddings_resnet_v1": pa.array(main, pa.list_(FLOATS)),
        "pic_embeddings_resnet_v1": pa.array(further, pa.list_(FLOATS)),
    }
    pq.write_table(pa.table(columns), folder / "resnet.parquet")
