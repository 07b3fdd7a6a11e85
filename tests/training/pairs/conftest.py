"""A folder of pairs and one trained scorer for the tests that need them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.training.pairs.made_pairs import make_pairs, write_pairs
from twinshelf.training.pairs.scorer import untrained_model


@pytest.fixture(scope="package")
def pair_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of pairs in Ditto's form."""
    folder = tmp_path_factory.mktemp("pairs")
    for seed, name in enumerate(("train", "valid", "test")):
        write_pairs(folder / f"{name}.txt", make_pairs(120, seed))
    return folder


@pytest.fixture
def quick_boosting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Lets `PairScorer.fit` grow few trees."""
    defaults = untrained_model.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "member_count", 2)
    monkeypatch.setitem(defaults, "tree_count", 20)
    monkeypatch.setitem(defaults, "learning_rate", 0.2)
    yield
