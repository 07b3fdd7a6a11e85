"""PK sampling: batches of P groups with K rows each, so that every row meets its positives."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from torch.utils.data import Sampler

from twinshelf.training.catalogues.mapped_products import Numbers
from twinshelf.training.catalogues.splits import firsts_of
from twinshelf.training.data.data_config import SamplerConfig


class GroupBatchSampler(Sampler[list[int]]):
    """Yields batches of row numbers: P groups, K rows each.

    A row of a group is repeated only when the group has fewer than K; a group of one row therefore
    meets itself under another augmentation. An epoch has about as many rows as the data. Every
    process of a distributed run computes the same epoch and takes its own batches of it, equally
    many. When there are fewer than P groups, two at least, a batch holds them all.

    Args:
        groups: Group number of each row (N).
        config: P, K and what goes together.
        seed: Seed; an epoch is determined by it and the epoch's number.
        is_catalogue: Rows that are catalogue products (N).
        categories: Category of each row, numbered by name (N).
        rank: Number of this process.
        process_count: Processes of the run.
    """

    def __init__(
        self,
        groups: Numbers,
        config: SamplerConfig,
        *,
        seed: int,
        is_catalogue: npt.NDArray[np.bool_],
        categories: Numbers,
        rank: int = 0,
        process_count: int = 1,
    ) -> None:
        self.config, self.seed = config, seed
        self.rank, self.process_count = rank, process_count
        # Arrays, since lists of every group would take more memory than the products.
        self.rows = np.argsort(groups, kind="stable")
        starts = firsts_of(groups[self.rows])
        self.sizes = sizes = np.diff(starts, append=len(groups))
        self.ends = starts + sizes
        self.is_catalogue = is_catalogue
        self.categories = np.unique(categories[self.rows[starts]], return_inverse=True)[1]
        self.epoch = 0
        self.group_count = min(config.groups_per_batch, len(sizes))
        per_step = self.group_count * config.rows_per_group
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
        batches = self._group_batches(generator, self.step_count * self.process_count)
        for number, batch in enumerate(batches):
            rows = [row for group in batch.tolist() for row in self._draw_rows(group, generator)]
            if number % self.process_count == self.rank:
                yield rows

    def _group_batches(self, generator: np.random.Generator, count: int) -> Iterator[Numbers]:
        chances = self.sizes**self.config.size_power
        chances = chances / chances.sum()
        queues = {is_similar: np.empty(0, dtype=np.int64) for is_similar in (False, True)}
        for _ in range(count):
            is_similar = bool(generator.random() < self.config.similar_share)
            if self.config.size_power and not is_similar:
                yield generator.choice(len(chances), self.group_count, replace=False, p=chances)
                continue
            if len(queues[is_similar]) < self.group_count:
                queues[is_similar] = self._ordered(generator, by_category=is_similar)
            yield queues[is_similar][: self.group_count]
            queues[is_similar] = queues[is_similar][self.group_count :]

    def _ordered(self, generator: np.random.Generator, *, by_category: bool) -> Numbers:
        groups = generator.permutation(len(self.sizes))
        if by_category:
            place = generator.permutation(int(self.categories.max()) + 1)
            groups = groups[np.argsort(place[self.categories[groups]], kind="stable")]
            # A batch may start inside a category: which one is cut changes from turn to turn.
            groups = np.roll(groups, -int(generator.integers(len(groups))))
        return groups

    def _draw_rows(self, group: int, generator: np.random.Generator) -> list[int]:
        count, end = self.config.rows_per_group, self.ends[group]
        rows = self.rows[end - self.sizes[group] : end]
        first: list[int] = []
        if self.config.with_catalogue_row:
            is_anchor = self.is_catalogue[rows]
            if anchors := rows[is_anchor].tolist():
                first = [anchors[0] if len(anchors) == 1 else int(generator.choice(anchors))]
                others = rows[~is_anchor] if not is_anchor.all() else rows[rows != first[0]]
                rows = others if len(others) else rows
        rest = count - len(first)
        times = math.ceil(rest / len(rows))
        drawn = np.concatenate([generator.permutation(rows) for _ in range(times)])[:rest]
        return first + drawn.tolist()
