"""PK sampling: batches of P groups with K rows each, so that every row meets its positives."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

from twinshelf.training.data.data_config import SamplerConfig


class GroupBatchSampler(Sampler[list[int]]):
    """Yields batches of row numbers: P groups, K rows each.

    A row of a group is repeated only when the group has fewer than K; a group of one row therefore
    meets itself under another augmentation. An epoch has about as many rows as the data. Every
    process of a distributed run computes the same epoch and takes its own batches of it, equally
    many. When there are fewer than P groups a batch holds them all.

    Args:
        groups: Group number of each row.
        config: P, K and what goes together.
        seed: Seed; an epoch is determined by it and the epoch's number.
        catalogue_rows: Rows that are catalogue products.
        categories: Category of each row; None counts all as one.
        rank: Number of this process.
        process_count: Processes of the run.

    Raises:
        ValueError: If there are fewer than two groups: nothing could be told apart.
    """

    def __init__(
        self,
        groups: Sequence[int],
        config: SamplerConfig,
        *,
        seed: int,
        catalogue_rows: Sequence[int] = (),
        categories: Sequence[str] | None = None,
        rank: int = 0,
        process_count: int = 1,
    ) -> None:
        self.config, self.seed = config, seed
        self.rank, self.process_count = rank, process_count
        self.rows: dict[int, list[int]] = defaultdict(list)
        for row, group in enumerate(groups):
            self.rows[group].append(row)
        if len(self.rows) < 2:
            raise ValueError(f"training needs two groups or more, got {len(self.rows)}")
        catalogue = frozenset(catalogue_rows)
        self.anchors = {
            g: [row for row in rows if row in catalogue] for g, rows in self.rows.items()
        }
        self.offers = {g: [r for r in rows if r not in catalogue] for g, rows in self.rows.items()}
        self.category_of = {
            group: categories[rows[0]] if categories else "" for group, rows in self.rows.items()
        }
        self.epoch = 0
        per_step = min(config.groups_per_batch, len(self.rows)) * config.rows_per_group
        self.step_count = max(1, math.ceil(len(groups) / (per_step * process_count)))

    def __len__(self) -> int:
        """Returns the batches that this process yields in an epoch."""
        return self.step_count

    def set_epoch(self, epoch: int) -> None:
        """Sets the number of the next epoch, so that a resumed run draws what it would have."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        """Yields one epoch; the next iteration is the next epoch."""
        generator = np.random.default_rng((self.seed, self.epoch))
        self.epoch += 1
        batch_count = self.step_count * self.process_count
        batches = self._group_batches(generator, batch_count)
        for number, batch in enumerate(batches):
            rows = [row for group in batch for row in self._draw_rows(group, generator)]
            if number % self.process_count == self.rank:
                yield rows

    def _group_batches(self, generator: np.random.Generator, count: int) -> Iterator[list[int]]:
        group_count = min(self.config.groups_per_batch, len(self.rows))
        spread: list[int] = []
        alike: list[int] = []
        for _ in range(count):
            similar = generator.random() < self.config.similar_share
            if self.config.size_power and not similar:
                yield self._draw_by_size(generator, group_count)
                continue
            queue = alike if similar else spread
            if len(queue) < group_count:
                queue[:] = self._ordered(generator, by_category=similar)
            yield queue[:group_count]
            del queue[:group_count]

    def _draw_by_size(self, generator: np.random.Generator, count: int) -> list[int]:
        groups = sorted(self.rows)
        chances = np.array([len(self.rows[group]) for group in groups]) ** self.config.size_power
        drawn = generator.choice(groups, count, replace=False, p=chances / chances.sum())
        return [int(group) for group in drawn]

    def _ordered(self, generator: np.random.Generator, *, by_category: bool) -> list[int]:
        groups = [int(g) for g in generator.permutation(sorted(self.rows))]
        if by_category:
            categories = sorted(set(self.category_of.values()))
            place = dict(zip(categories, generator.permutation(len(categories)), strict=True))
            groups.sort(key=lambda group: place[self.category_of[group]])
            # A batch may start inside a category: which one is cut changes from turn to turn.
            start = int(generator.integers(len(groups)))
            groups = groups[start:] + groups[:start]
        return groups

    def _draw_rows(self, group: int, generator: np.random.Generator) -> list[int]:
        count, rows = self.config.rows_per_group, self.rows[group]
        first: list[int] = []
        if self.config.with_catalogue_row and (anchors := self.anchors[group]):
            first = [anchors[0] if len(anchors) == 1 else int(generator.choice(anchors))]
            rows = self.offers[group] or [row for row in rows if row != first[0]] or first
        rest = count - len(first)
        times = math.ceil(rest / len(rows))
        drawn = np.concatenate([generator.permutation(rows) for _ in range(times)])[:rest]
        return first + [int(row) for row in drawn]
