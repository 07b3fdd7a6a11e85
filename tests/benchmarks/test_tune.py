"""Plans that are tried fit the machine; buckets fit the texts."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from tests.benchmarks.tune import BUCKETS, changes, choose_buckets
from twinshelf.server.triton.plan import default_plan


@pytest.mark.parametrize("core_count", [1, 2, 4, 16])
def test_plans_that_are_tried_fit_the_cores(core_count: int) -> None:
    start = default_plan(core_count, has_gpu=False)
    for change in changes(core_count):
        plan = replace(start, **change)
        assert plan.image_instances * plan.image_threads <= core_count
        assert plan.text_instances * plan.text_threads <= core_count


def padded(lengths: np.ndarray, buckets: tuple[int, ...]) -> int:
    places = np.searchsorted(buckets, np.minimum(lengths, buckets[-1]))
    return int(np.array(buckets)[places].sum())


@pytest.mark.parametrize("most", [1, 2, 3, 6])
@pytest.mark.parametrize("seed", range(5))
def test_no_other_buckets_pad_less(seed: int, most: int) -> None:
    lengths = np.random.default_rng(seed).gamma(4, 6 + 3 * seed, size=300).astype(int) + 3
    found = choose_buckets(lengths.tolist(), most)
    assert len(found) <= most and list(found) == sorted(set(found))
    assert found[-1] >= min(lengths.max(), BUCKETS[-1])
    for count in range(1, most + 1):
        for other in combinations(BUCKETS, count):
            if other[-1] >= min(lengths.max(), BUCKETS[-1]):
                assert padded(lengths, found) <= padded(lengths, other)


def test_a_title_of_33_tokens_does_not_pay_for_64() -> None:
    assert 40 in choose_buckets([33] * 50 + [12] * 50)
