"""The shadow of live matches: the encoder beside answers a sample of them, too, for comparison."""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass

from twinshelf.server.catalogue.catalogue import Catalogue
from twinshelf.server.catalogue.ranking import Hit
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.errors import TwinshelfError
from twinshelf.server.services.embedding.serving_encoders import ServingEncoders
from twinshelf.server.services.matching.matcher import Matcher, MatchResult
from twinshelf.v1 import matching_service_pb2

logger = logging.getLogger(__name__)
DEPTH = 10
# More would take the cores from those who match.
_AT_ONCE = 2


@dataclass(slots=True, kw_only=True)
class Comparison:
    """How two encoders have answered the same offers so far.

    Attributes:
        digests: That of the encoder that serves, and of the one beside.
        query_count: Offers that both answered.
        overlap: Sum of the shares of the best matches that both name.
        same_best_count: Offers of which both name the same best match, or none.
        paired_count: Offers of which both name a match.
        score_shift: Sum, over these, of the best score beside less that of the serving one.
        probability_shift: The same of probabilities.
        failure_count: Offers that the one beside failed to answer.
    """

    digests: tuple[str, str] = ("", "")
    query_count: int = 0
    overlap: float = 0.0
    same_best_count: int = 0
    paired_count: int = 0
    score_shift: float = 0.0
    probability_shift: float = 0.0
    failure_count: int = 0

    def add(self, serving: tuple[Hit, ...], beside: tuple[Hit, ...]) -> None:
        """Counts an offer that both have answered."""
        ours, theirs = _best_ids(serving), _best_ids(beside)
        self.query_count += 1
        longest = max(len(ours), len(theirs))
        self.overlap += len(set(ours) & set(theirs)) / longest if longest else 1.0
        self.same_best_count += ours[:1] == theirs[:1]
        if serving and beside:
            self.paired_count += 1
            self.score_shift += beside[0].ranked.score - serving[0].ranked.score
            self.probability_shift += beside[0].ranked.probability - serving[0].ranked.probability

    @property
    def mean_overlap(self) -> float:
        """Mean share of the best matches that both name, 0 to 1; NaN before the first offer."""
        return self.overlap / self.query_count if self.query_count else float("nan")

    @property
    def mean_score_shift(self) -> float:
        """Mean of the best score beside, less that of the serving one; NaN before the first."""
        return self.score_shift / self.paired_count if self.paired_count else float("nan")


class EncoderComparison:
    """Compares while both encoders have embedded every product. Belongs to one event loop."""

    def __init__(
        self,
        *,
        matcher: Matcher,
        encoders: ServingEncoders,
        catalogue: Catalogue,
        share: float,
        randomness: random.Random,
    ) -> None:
        """Takes the parts that it works with.

        Args:
            matcher: Answers.
            encoders: Those that are compared.
            catalogue: Knows whether the one beside has embedded every product.
            share: Share of the matches that are compared, 0 to 1.
            randomness: Chooses them.
        """
        self._matcher = matcher
        self._encoders = encoders
        self._catalogue = catalogue
        self._share = share
        self._randomness = randomness
        self._sums = Comparison()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def sums(self) -> Comparison:
        """What was counted since the encoders were last others."""
        return self._sums

    def pair(self) -> tuple[EncoderContract, EncoderContract] | None:
        """Returns the encoder that serves and the one beside; None where one has gaps.

        Raises:
            TwinshelfError: If the one that serves is away.
        """
        missing = self._catalogue.encoders.count_missing
        others = [each for each in self._encoders.beside() if not missing(each.digest)]
        return (self._encoders.contract, others[0]) if others else None

    def consider(
        self, request: matching_service_pb2.MatchProductRequest, result: MatchResult
    ) -> None:
        """Has the encoder beside answer a match as well, if it is in the sample; quick."""
        if not self._catalogue.encoders.kept or len(self._tasks) >= _AT_ONCE:
            return
        if request.encoder_digest or request.encoder_version or request.page_token:
            return
        if self._randomness.random() >= self._share:
            return
        try:
            pair = self.pair()
        except TwinshelfError:  # gone since it answered
            return
        if pair is None or result.found.contract.digest != pair[0].digest:
            return
        again = matching_service_pb2.MatchProductRequest()
        again.CopyFrom(request)  # which is the caller's to change
        task = asyncio.ensure_future(self._compare(again, result, pair))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Ends what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _compare(
        self,
        again: matching_service_pb2.MatchProductRequest,
        result: MatchResult,
        pair: tuple[EncoderContract, EncoderContract],
    ) -> None:
        digests = (pair[0].digest, pair[1].digest)
        if self._sums.digests != digests:
            self._sums = Comparison(digests=digests)
        sums = self._sums
        again.encoder_digest = pair[1].digest
        again.pair_count = 0
        try:
            other = await self._matcher.match(again, is_patient=True)
        except TwinshelfError as error:
            sums.failure_count += 1
            logger.debug("the encoder beside could not answer: %s", error.message)
        except Exception:  # nobody waits for it
            sums.failure_count += 1
            logger.exception("the encoder beside could not answer")
        else:
            sums.add(_by_score(result.found.page.hits), other.found.page.hits)


def _by_score(hits: tuple[Hit, ...]) -> tuple[Hit, ...]:
    """Hits in the order of the encoder, whatever a pair scorer made of it."""
    return tuple(sorted(hits, key=lambda hit: -hit.ranked.score))


def _best_ids(hits: tuple[Hit, ...]) -> list[str]:
    return [hit.product.record.product_id for hit in hits[:DEPTH]]
