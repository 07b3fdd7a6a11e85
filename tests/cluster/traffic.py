"""Callers of the matching servers: some match, some write, all by the client and its retries."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Literal, Self

import numpy as np

from tests.cluster.known_catalogue import DEPTH, KnownCatalogue
from tests.cluster.ledger import Ledger
from twinshelf.client.errors import ServiceUnavailableError, TwinshelfError
from twinshelf.client.records import MatchOptions, Offer, Product
from twinshelf.client.retries import RetryPolicy
from twinshelf.client.sync_client import Client

Kind = Literal["match", "write"]
_MATCHER_COUNT: Final = 4
_WRITER_COUNT: Final = 2
_MATCH_PAUSE_S: Final = 0.1
_WRITE_PAUSE_S: Final = 0.3
_WRITES_AT_ONCE: Final = 8
# Longer than any part needs to come back.
_TIMEOUT_S: Final = 90.0
_ATTEMPT_COUNT: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class CountingPolicy(RetryPolicy):
    """Repeats as its kind does, and counts the failed attempts by their status."""

    failures: Counter[str] = field(default_factory=Counter)

    def wait_s(
        self, error: TwinshelfError, failure_count: int, randomness: random.Random
    ) -> float | None:
        """Counts, and returns how long to wait."""
        assert error.code is not None
        self.failures[error.code.name] += 1
        # Of a class with slots, `super()` alone knows nothing.
        return RetryPolicy.wait_s(self, error, failure_count, randomness)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call that was answered, repeats included.

    Attributes:
        kind: What it was.
        begun_s: When it began, by the monotonic clock.
        ended_s: When it was answered.
    """

    kind: Kind
    begun_s: float
    ended_s: float


class Traffic:
    """Threads that call until the context ends.

    Attributes:
        calls: Calls that were answered rightly.
        failures: Failed attempts by status; the client repeats what it may.
        given_up: Calls that failed for good, by status.
        wrong: What was answered wrongly, in words.
    """

    def __init__(
        self, address: str, known: KnownCatalogue, ledger: Ledger, titles: list[str]
    ) -> None:
        """Starts nothing.

        Args:
            address: Of all matching servers.
            known: What is matched, and the right answers.
            ledger: Where writes are noted.
            titles: Those that are written.
        """
        self.calls: list[Call] = []
        self.given_up: Counter[str] = Counter()
        self.wrong: list[str] = []
        policy = CountingPolicy(attempt_count=_ATTEMPT_COUNT)
        self.failures = policy.failures
        self._client = Client(address, timeout_s=_TIMEOUT_S, retry_policy=policy)
        self._known, self._ledger, self._titles = known, ledger, titles
        self._ends = threading.Event()
        jobs = [(self._match, number) for number in range(_MATCHER_COUNT)]
        jobs += [(self._write, number) for number in range(_WRITER_COUNT)]
        self._threads = [
            threading.Thread(target=job, args=(number,), daemon=True) for job, number in jobs
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ends.set()
        if error is None:
            for thread in self._threads:
                thread.join()
        self._client.close()

    def _match(self, number: int) -> None:
        chance = np.random.default_rng(number)
        titles = list(self._known.answers)
        options = MatchOptions(match_count=DEPTH)
        while not self._ends.wait(_MATCH_PAUSE_S):
            title = titles[chance.integers(len(titles))]
            begun_s = time.monotonic()
            try:
                result = self._client.match(Offer(title=title), options)
            except TwinshelfError as error:
                self._give_up(error)
                continue
            found = tuple(match.product.product_id for match in result.matches)
            if found == self._known.answers[title]:
                self._answered("match", begun_s)
            else:
                self.wrong.append(f"{title!r}: {found}, not {self._known.answers[title]}")

    def _write(self, number: int) -> None:
        """Writes new products; every third time older ones anew, every fourth removes some."""
        chance = np.random.default_rng(1000 + number)
        written: list[list[str]] = []
        for turn in range(1_000_000):
            if self._ends.wait(_WRITE_PAUSE_S):
                return
            product_ids = [f"written-{number}-{turn}-{n}" for n in range(_WRITES_AT_ONCE)]
            if written and turn % 3 == 2:
                product_ids = written[chance.integers(len(written))]
            begun_s = time.monotonic()
            try:
                if written and turn % 4 == 3:
                    self._remove(written.pop(chance.integers(len(written))))
                else:
                    self._store(product_ids, chance)
                    written.append(product_ids)
            except TwinshelfError as error:
                self._give_up(error)
            else:
                self._answered("write", begun_s)

    def _store(self, product_ids: list[str], chance: np.random.Generator) -> None:
        titles = {each: self._titles[chance.integers(len(self._titles))] for each in product_ids}
        for product_id, title in titles.items():
            self._ledger.attempt(product_id, title)
        products = [Product(product_id=each, title=title) for each, title in titles.items()]
        for answer in self._client.upsert(products):
            if answer.error is None:
                self._ledger.acknowledge(answer.product_id, titles[answer.product_id])
            else:
                self._give_up(answer.error)

    def _remove(self, product_ids: list[str]) -> None:
        for product_id in product_ids:
            self._ledger.attempt(product_id, None)
        until_s = time.monotonic() + _TIMEOUT_S
        while True:
            try:
                self._client.delete(product_ids)
                break
            except ServiceUnavailableError:  # it may be done: to repeat it is safe
                if time.monotonic() > until_s:
                    raise
                time.sleep(_WRITE_PAUSE_S)
        for product_id in product_ids:
            self._ledger.acknowledge(product_id, None)

    def _answered(self, kind: Kind, begun_s: float) -> None:
        self.calls.append(Call(kind=kind, begun_s=begun_s, ended_s=time.monotonic()))

    def _give_up(self, error: TwinshelfError) -> None:
        assert error.code is not None
        self.given_up[error.code.name] += 1
