"""Buckets by the lengths of texts: none pads less, and the last one stays."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from twinshelf.training.catalogues.product import Product
from twinshelf.training.data import token_buckets
from twinshelf.training.data.token_buckets import choose_buckets, fit_buckets
from twinshelf.training.model.wordpiece import train_wordpiece
from twinshelf.training.preprocessing.settings import PreprocessingSettings

CANDIDATES = (16, 24, 32, 40, 48, 64, 96, 128)


def padded(lengths: np.ndarray, buckets: tuple[int, ...]) -> int:
    return int(np.array(buckets)[np.searchsorted(buckets, lengths)].sum())


@pytest.mark.parametrize("most", [1, 2, 3, 6])
@pytest.mark.parametrize("seed", range(4))
def test_no_other_buckets_pad_less(seed: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_buckets, "MOST_BUCKETS", most)
    drawn = np.random.default_rng(seed).gamma(4, 6 + 3 * seed, size=300).astype(int) + 3
    lengths = np.minimum(drawn, CANDIDATES[-1])
    found = choose_buckets(lengths.tolist(), CANDIDATES)
    assert len(found) <= most and list(found) == sorted(set(found))
    assert found[-1] == CANDIDATES[-1]
    for count in range(most):
        for others in combinations(CANDIDATES[:-1], count):
            assert padded(lengths, found) <= padded(lengths, (*others, CANDIDATES[-1]))


def test_a_title_of_33_tokens_does_not_pay_for_64() -> None:
    assert 40 in choose_buckets([33] * 50 + [12] * 50, CANDIDATES)


def test_without_texts_the_last_bucket_is_left() -> None:
    assert choose_buckets([], CANDIDATES)[-1] == 128


def test_settings_get_the_buckets_of_the_products(tmp_path: Path) -> None:
    texts = ["green tea " * 9, "black tea"]
    tokenizer = train_wordpiece(texts * 4, 400)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    products = [Product(product_id=str(n), title=text) for n, text in enumerate(texts * 10)]
    settings = PreprocessingSettings(token_buckets=(8, 64))
    fitted = fit_buckets(settings, tmp_path / "tokenizer.json", products)
    assert fitted.token_buckets[-1] == 64
    assert fitted.token_buckets[0] == 8
    assert 24 in fitted.token_buckets
    assert fit_buckets(fitted, tmp_path / "tokenizer.json", products) == fitted


def test_a_prefix_takes_its_place_in_the_buckets(tmp_path: Path) -> None:
    file, prefix = tmp_path / "tokenizer.json", "black tea " * 3
    train_wordpiece([prefix] * 4, 400).save(str(file))
    plain = PreprocessingSettings(token_buckets=(8, 64))
    products = [Product(product_id="1", title="tea " * 36)]
    assert 48 not in fit_buckets(plain, file, products).token_buckets
    for settings in (replace(plain, query_prefix=prefix), replace(plain, passage_prefix=prefix)):
        assert 48 in fit_buckets(settings, file, products).token_buckets
