"""The PK sampler: what every batch, epoch and process gets."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from twinshelf.training.data.data_config import SamplerConfig
from twinshelf.training.data.sampler import GroupBatchSampler

GROUPS = [g for g in range(10) for _ in range(g % 4 + 1)]
CONFIG = SamplerConfig(
    groups_per_batch=3, rows_per_group=4, with_catalogue_row=False, similar_share=0.0
)


def sampler_of(groups: list[int], config: SamplerConfig, **options: Any) -> GroupBatchSampler:
    nothing = {"is_catalogue": np.zeros(len(groups), bool), "categories": np.zeros(len(groups))}
    return GroupBatchSampler(np.array(groups), config, **nothing | options)


def batches_of(config: SamplerConfig = CONFIG, **options: Any) -> list[list[int]]:
    return list(sampler_of(GROUPS, config, seed=42, **options))


def test_every_batch_has_p_groups_with_k_rows_each() -> None:
    for batch in batches_of():
        counts = Counter(GROUPS[row] for row in batch)
        assert len(counts) == 3
        assert set(counts.values()) == {4}


def test_a_row_repeats_only_when_its_group_is_too_small() -> None:
    for batch in batches_of():
        for group in {GROUPS[row] for row in batch}:
            rows = [row for row in batch if GROUPS[row] == group]
            assert len(set(rows)) == min(4, GROUPS.count(group))


def test_an_epoch_has_about_as_many_rows_as_the_data_and_shows_all_groups_in_time() -> None:
    sampler = sampler_of(GROUPS, CONFIG, seed=42)
    assert len(sampler) == -(-len(GROUPS) // 12)
    seen = {GROUPS[row] for _ in range(4) for batch in sampler for row in batch}
    assert seen == set(GROUPS)


def test_epochs_differ_and_repeat_by_seed_and_number() -> None:
    sampler = sampler_of(GROUPS, CONFIG, seed=42)
    first, second = list(sampler), list(sampler)
    assert first != second
    sampler.set_epoch(1)
    assert list(sampler) == second
    assert list(sampler_of(GROUPS, CONFIG, seed=43)) != first


def test_processes_share_an_epoch_without_overlap_and_in_equal_parts() -> None:
    whole = batches_of(process_count=1)
    parts = [batches_of(rank=rank, process_count=2) for rank in range(2)]
    assert len(parts[0]) == len(parts[1])
    together = [batch for pair in zip(*parts, strict=True) for batch in pair]
    assert together[: len(whole)] == whole


def test_the_catalogue_row_is_in_every_batch_of_its_group() -> None:
    catalogue = [GROUPS.index(3), GROUPS.index(7)]
    config = SamplerConfig(groups_per_batch=3, rows_per_group=2, similar_share=0.0)
    is_catalogue = np.isin(np.arange(len(GROUPS)), catalogue)
    batches = batches_of(config, is_catalogue=is_catalogue)
    with_anchor = [b for b in batches if {3, 7} & {GROUPS[row] for row in b}]
    assert with_anchor
    for batch in with_anchor:
        for group, row in zip((3, 7), catalogue, strict=True):
            if group in {GROUPS[r] for r in batch}:
                assert batch.count(row) == 1


def test_offers_meet_each_catalogue_row_of_their_group_in_turn() -> None:
    groups = [0] * 5 + [1] * 3 + [2] * 2
    catalogue = [1, 2, 3, 5, 6, 7]  # of group 0, and all of group 1
    config = SamplerConfig(groups_per_batch=3, rows_per_group=2, similar_share=0.0)
    is_catalogue = np.isin(np.arange(len(groups)), catalogue)
    sampler = sampler_of(groups, config, seed=42, is_catalogue=is_catalogue)
    drawn = [
        tuple(row for row in batch if groups[row] == group)
        for _ in range(40)
        for batch in sampler
        for group in range(3)
    ]
    pairs = {group: {pair for pair in drawn if groups[pair[0]] == group} for group in range(3)}
    assert pairs[0] == {(product, offer) for product in (1, 2, 3) for offer in (0, 4)}
    assert pairs[1] == {(a, b) for a in (5, 6, 7) for b in (5, 6, 7) if a != b}
    assert pairs[2] == {(8, 9), (9, 8)}


def test_similar_batches_hold_one_category_where_it_is_large_enough() -> None:
    groups = [g for g in range(40) for _ in range(2)]
    categories = np.array(groups) % 2
    config = SamplerConfig(groups_per_batch=5, rows_per_group=2, similar_share=1.0)
    sampler = sampler_of(groups, config, seed=1, categories=categories)
    batches = [batch for _ in range(5) for batch in sampler]
    pure = [len({categories[row] for row in batch}) == 1 for batch in batches]
    assert sum(pure) / len(pure) > 0.5
    spread = sampler_of(
        groups,
        SamplerConfig(groups_per_batch=5, rows_per_group=2, similar_share=0.0),
        seed=1,
        categories=categories,
    )
    mixed = [len({categories[row] for row in batch}) == 2 for _ in range(5) for batch in spread]
    assert sum(mixed) / len(mixed) > 0.5


@pytest.mark.slow
def test_groups_are_drawn_by_their_size_when_asked() -> None:
    sizes = {0: 1, 1: 3, 2: 9}
    groups = [group for group, size in sizes.items() for _ in range(size)]
    config = SamplerConfig(
        groups_per_batch=2,
        rows_per_group=2,
        with_catalogue_row=False,
        similar_share=0.0,
        size_power=0.5,
    )
    sampler = sampler_of(groups, config, seed=42)
    drawn = [{groups[row] for row in batch} for _ in range(1000) for batch in sampler]
    # A group is the first drawn or, without the first, the second.
    chances = {
        group: size**0.5 / sum(s**0.5 for s in sizes.values()) for group, size in sizes.items()
    }
    for group, chance in chances.items():
        others = [chances[other] for other in sizes if other != group]
        expected = chance + sum(other * chance / (1 - other) for other in others)
        share = sum(group in batch for batch in drawn) / len(drawn)
        assert share == pytest.approx(expected, abs=0.03)  # over five standard errors


def test_fewer_groups_than_p_all_go_into_each_batch() -> None:
    sampler = sampler_of([0, 0, 1], CONFIG, seed=0)
    for batch in sampler:
        assert Counter(min(row // 2, 1) for row in batch) == {0: 4, 1: 4}


def test_a_catalogue_product_meets_itself_only_where_it_is_alone() -> None:
    config = SamplerConfig(groups_per_batch=2, rows_per_group=3, similar_share=0.0)
    batches = list(sampler_of([0, 1, 1], config, seed=0, is_catalogue=np.ones(3, np.bool_)))
    assert [sorted(batch) for batch in batches] in (
        [[0, 0, 0, 1, 2, 2]],
        [[0, 0, 0, 1, 1, 2]],
    )
