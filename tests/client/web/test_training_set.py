"""Judged pairs as a folder that the pair scorer is trained on."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from twinshelf.client.records import Product
from twinshelf.client.web.judgements import JudgedPair
from twinshelf.client.web.training_set import training_set
from twinshelf.training.pairs.labelled_pairs import read_training_pairs
from twinshelf.training.pairs.pair_config import HeldOutConfig


def judged(number: int, left: str, right: str, verdict: str) -> JudgedPair:
    return JudgedPair(
        pair_id=number,
        left_key=left,
        right_key=right,
        left=Product(product_id=left, title=f"tea {left}"),
        right=Product(product_id=right, title=f"tea {right}"),
        score=0.5,
        probability=0.5,
        verdict=verdict,
        judged_by="anna",
        judged_at_s=0.0,
    )


def test_pairs_that_hang_together_stay_on_one_side(tmp_path: Path) -> None:
    pairs = []
    for number in range(40):
        verdict = ("same", "different", "unsure")[number % 3]
        # Each product stands in two pairs: with its twin, and with the next but one.
        pairs += [judged(number, f"a{number // 2}", f"b{number}", verdict)]
    data = training_set(pairs)
    assert data == training_set(pairs)
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        assert file.namelist() == ["train.txt", "valid.txt"]
        file.extractall(tmp_path)
    train, validation = read_training_pairs(tmp_path, HeldOutConfig(seed=0), with_encoder=False)
    assert len(train.pairs) + len(validation.pairs) == sum(p.verdict != "unsure" for p in pairs)
    assert 2 <= len(validation.pairs) < len(train.pairs)
    titles = [
        {record.title for pair in side.pairs for record in (pair.left, pair.right)}
        for side in (train, validation)
    ]
    assert not titles[0] & titles[1]
    assert set(validation.labels) == {True, False}


@pytest.mark.parametrize(
    "pairs",
    [
        [],
        [judged(0, "a", "b", "same"), judged(1, "c", "d", "different")],
        [judged(n, "hub", f"b{n}", ("same", "different")[n % 2]) for n in range(10)],
    ],
)
def test_too_few_pairs_are_told(pairs: list[JudgedPair]) -> None:
    with pytest.raises(ValueError, match="Judge more pairs"):
        training_set(pairs)
