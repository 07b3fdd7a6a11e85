"""A pair scorer without models: five features, and the logistic function of their sum."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np

from twinshelf.server.encoders.embedding import Floats
from twinshelf.server.encoders.pair_contract import PairContract, missing_scorer
from twinshelf.server.encoders.pair_models import Pair
from twinshelf.server.errors import TwinshelfError

FEATURES = ("image_cosine", "text_cosine", "fused_cosine", "titles_agree", "prices_agree")


def make_pair_contract(**changes: object) -> PairContract:
    """Makes the contract of the fake."""
    values: dict[str, object] = {
        "digest": "sha256:" + "b" * 64,
        "version": 1,
        "feature_names": FEATURES,
        "threshold": 0.6,
        "has_encoder": True,
        "max_batch_size": 4,
    }
    return PairContract(**(values | changes))  # type: ignore[arg-type]


class FakePairModels:
    """Answers at once, or when the test says so; none is published until it has a contract."""

    def __init__(self) -> None:
        self.current: PairContract | None = None
        self.error: TwinshelfError | None = None
        self.may_answer: asyncio.Event | None = None
        self.batch_sizes: list[int] = []
        self.cancelled_count = 0

    @property
    def contract(self) -> PairContract:
        if self.current is None:
            raise missing_scorer(1)
        return self.current

    async def features(self, pairs: Sequence[Pair], contract: PairContract) -> Floats:
        await self._answer(len(pairs))
        rows = [
            (
                *(pair.cosines.image, pair.cosines.text, pair.cosines.fused),
                float(pair.left.title == pair.right.title),
                np.nan
                if None in (pair.left.price, pair.right.price)
                else float(pair.left.price == pair.right.price),
            )
            for pair in pairs
        ]
        return np.array(rows, np.float32)

    async def probabilities(self, features: Floats, contract: PairContract) -> Floats:
        await self._answer(len(features))
        sums = np.nansum(features, axis=1, dtype=np.float32)
        return np.asarray(1 / (1 + np.exp(-sums)), np.float32)

    async def _answer(self, size: int) -> None:
        self.batch_sizes.append(size)
        try:
            if self.may_answer is not None:
                await self.may_answer.wait()
        except asyncio.CancelledError:
            self.cancelled_count += 1
            raise
        if self.error is not None:
            raise self.error
