"""The rows of a two-way stream: which are sent, which are answered, and which are sent again.

`StreamRows` does no input or output, so that the sync and the asyncio client share it.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import grpc

from twinshelf.client.conversions import (
    UNSENDABLE,
    match_answer,
    match_request,
    upsert_answer,
    upsert_request,
)
from twinshelf.client.encoders.records import ReindexAnswer
from twinshelf.client.errors import (
    MESSAGE_TOO_LARGE,
    SLOW_MESSAGE,
    InvalidRequestError,
    TwinshelfError,
    too_large_error,
)
from twinshelf.client.records import (
    MatchAnswer,
    MatchOptions,
    Offer,
    Product,
    ProductUpdate,
    UpsertAnswer,
)
from twinshelf.client.retries import RetryPolicy
from twinshelf.v1 import matching_service_pb2

# Twice what the service works on at once for one stream, so that it never waits for us.
WINDOW = 64

Row = TypeVar("Row")
Answer = TypeVar("Answer", UpsertAnswer, MatchAnswer, ReindexAnswer)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamMethod(Generic[Row, Answer]):
    """What differs between the streaming methods.

    Attributes:
        request: Makes the request from its position in the stream and the row.
        product_id: Reads which product a row writes, so that the last row of one stays; None where
            rows may be answered in any order.
        photo: Reads the main photo of a row, which is named when its message is too large.
        position: Reads the position of the request that an answer belongs to; -1 when it is lost.
        answer: Makes the caller's answer from the row's index, the row and the response.
        failure: Makes the caller's answer from the row's index, the row and an error.
    """

    request: Callable[[int, Row], Any]
    product_id: Callable[[Row], str | None]
    photo: Callable[[Row], bytes]
    position: Callable[[Any], int]
    answer: Callable[[int, Row, Any], Answer]
    failure: Callable[[int, Row, TwinshelfError], Answer]


def upsert_method() -> StreamMethod[Product | ProductUpdate, UpsertAnswer]:
    """Returns how UpsertProducts speaks."""
    return StreamMethod(
        request=lambda position, product: upsert_request(product),
        product_id=lambda product: product.product_id,
        photo=lambda row: (row.product if isinstance(row, ProductUpdate) else row).image,
        position=lambda response: response.request_index,
        answer=lambda index, product, response: upsert_answer(index, product.product_id, response),
        failure=lambda index, product, error: UpsertAnswer(
            product_index=index, product_id=product.product_id, error=error
        ),
    )


def match_method(options: MatchOptions) -> StreamMethod[Offer, MatchAnswer]:
    """Returns how MatchProducts speaks.

    Args:
        options: How to match; the same for every offer of the stream.
    """
    return StreamMethod(
        request=lambda position, offer: matching_service_pb2.MatchProductsRequest(
            request_id=str(position), request=match_request(offer, options)
        ),
        product_id=lambda offer: None,
        photo=lambda offer: offer.image,
        position=lambda response: int(response.request_id) if response.request_id.isdigit() else -1,
        answer=lambda index, offer, response: match_answer(index, response),
        failure=lambda index, offer, error: MatchAnswer(offer_index=index, error=error),
    )


@dataclass(slots=True)
class _Sent(Generic[Row]):
    index: int
    row: Row
    product_id: str | None
    failure_count: int = 0


class StreamRows(Generic[Row, Answer]):
    """Feeds a stream from an iterator and repeats what came back UNAVAILABLE or busy, row by row.

    At most `WINDOW` rows are unanswered at a time; those alone are kept in memory. A row is held
    back until the one before it of its product has its answer: a repeat of that one would undo it.
    """

    def __init__(
        self,
        method: StreamMethod[Row, Answer],
        *,
        policy: RetryPolicy,
        timeout_s: float,
        randomness: random.Random,
    ) -> None:
        """Starts without rows.

        Args:
            method: How the method speaks.
            policy: How to repeat.
            timeout_s: Longest time that a busy service may ask us to wait, seconds.
            randomness: Where the jitter comes from.
        """
        self._method: StreamMethod[Row, Answer] = method
        self._policy = policy
        self._timeout_s = timeout_s
        self._randomness = randomness
        self._row_count = 0
        self._position = 0
        self._sent: dict[int, _Sent[Row]] = {}
        self._waiting: list[tuple[float, int, _Sent[Row]]] = []
        self._held: _Sent[Row] | None = None
        self._break_count = 0
        self._answered_in_stream = False
        self._unsendable: list[Answer] = []
        self._limit_bytes: int | None = None  # of a message; known once one was too large

    def may_take(self, *, answers_wait: bool) -> bool:
        """Tells whether another row may be taken from the caller.

        Args:
            answers_wait: Whether something was received that is not yet read. Then nothing is
                taken, unless nothing at all is under way. Nor while a row is held back: it would
                have to wait for a source that rests.
        """
        if answers_wait:
            return self.is_empty
        return self._held is None and len(self._sent) + len(self._waiting) < WINDOW

    @property
    def is_empty(self) -> bool:
        """Whether every row that was taken has been answered."""
        return not self._sent and not self._waiting and self._held is None

    @property
    def has_unanswered(self) -> bool:
        """Whether the service owes an answer."""
        return bool(self._sent)

    def add(self, row: Row) -> Any | None:
        """Takes a row and returns its request, to be sent now.

        None when the row is held back; or when no message can be made of it, or one known to be too
        large, and then its answer is in `take_unsendable`.
        """
        sent = _Sent(index=self._row_count, row=row, product_id=self._method.product_id(row))
        self._row_count += 1
        if self._is_under_way(sent.product_id):
            self._held = sent
            return None
        return self._send(sent)

    def take_unsendable(self) -> list[Answer]:
        """Returns, once, the answers of rows of which no message could be made and sent."""
        answers, self._unsendable = self._unsendable, []
        return answers

    def due_requests(self, now_s: float) -> Iterator[Any]:
        """Yields the requests whose backoff is over, and that of a row no longer held back.

        Args:
            now_s: The monotonic clock.
        """
        while self._waiting and self._waiting[0][0] <= now_s:
            request = self._send(heapq.heappop(self._waiting)[2])
            if request is not None:
                yield request
        if self._held is not None and not self._is_under_way(self._held.product_id):
            held, self._held = self._held, None
            request = self._send(held)
            if request is not None:
                yield request

    def next_due_s(self, now_s: float) -> float | None:
        """Returns how long until the next repeat, seconds; None when none waits.

        Args:
            now_s: The monotonic clock.
        """
        return max(0.0, self._waiting[0][0] - now_s) if self._waiting else None

    def answered(self, response: Any, now_s: float) -> Answer | None:
        """Takes a response; returns the row's answer, or None when the row will be sent again.

        Args:
            response: What the service sent.
            now_s: The monotonic clock.
        """
        sent = self._sent.pop(self._method.position(response), None)
        if sent is None:  # an answer to nothing we asked
            return None
        self._answered_in_stream = True
        answer = self._method.answer(sent.index, sent.row, response)
        if answer.error is not None:
            sent.failure_count += 1
            wait_s = self._wait_s(answer.error, sent.failure_count)
            if wait_s is not None:
                heapq.heappush(self._waiting, (now_s + wait_s, sent.index, sent))
                return None
        return answer

    def wait_after_break_s(self, error: TwinshelfError, now_s: float) -> float:
        """Takes the end of a stream that still owed answers; returns how long to wait, seconds.

        What was not answered goes into the next stream; that it had been sent is not held against
        it, since the stream failed and not the row. One that rested until the service ended it has
        not failed: it is opened again at once. So is one that a too large row ended, without it.

        Args:
            error: How the stream ended.
            now_s: The monotonic clock.

        Raises:
            TwinshelfError: If another stream will not help: the error says so, or as many streams
                in a row as there are attempts broke without a single answer.
        """
        self._break_count = 0 if self._answered_in_stream else self._break_count
        wait_s: float | None = 0.0
        if error.reason != SLOW_MESSAGE and not self._learns_limit(error):
            self._break_count += 1
            wait_s = self._wait_s(error, self._break_count)
        if wait_s is None:
            raise error
        self._answered_in_stream = False
        for sent in self._sent.values():
            heapq.heappush(self._waiting, (now_s, sent.index, sent))
        self._sent.clear()
        self._position = 0
        return wait_s

    def _learns_limit(self, error: TwinshelfError) -> bool:
        """Takes from an error how large a message may be; tells whether that was news."""
        if error.reason != MESSAGE_TOO_LARGE:
            return False
        limit_bytes = int(error.facts["limit_bytes"])
        if self._limit_bytes is not None and limit_bytes >= self._limit_bytes:
            return False
        self._limit_bytes = limit_bytes
        return True

    def _is_under_way(self, product_id: str | None) -> bool:
        """Tells whether a row of the product is under way."""
        if product_id is None:
            return False
        under_way = (*self._sent.values(), *(waiting for _, _, waiting in self._waiting))
        return any(each.product_id == product_id for each in under_way)

    def _send(self, sent: _Sent[Row]) -> Any | None:
        try:
            request = self._method.request(self._position, sent.row)
        except InvalidRequestError as error:
            return self._give_up(sent, error)
        except UNSENDABLE as reason:  # of an option, such as a number that is too large
            said = f"the row cannot be sent: {reason}"
            code = grpc.StatusCode.INVALID_ARGUMENT
            return self._give_up(sent, InvalidRequestError(said, code=code))
        if self._limit_bytes is not None and (size_bytes := request.ByteSize()) > self._limit_bytes:
            photo_bytes = len(self._method.photo(sent.row) or b"")  # a caller may give None
            return self._give_up(sent, too_large_error(size_bytes, self._limit_bytes, photo_bytes))
        self._sent[self._position] = sent
        self._position += 1
        return request

    def _give_up(self, sent: _Sent[Row], error: TwinshelfError) -> Any | None:
        self._unsendable.append(self._method.failure(sent.index, sent.row, error))
        return None

    def _wait_s(self, error: TwinshelfError, failure_count: int) -> float | None:
        if error.retry_after_s is not None and error.retry_after_s > self._timeout_s:
            return None
        return self._policy.wait_s(error, failure_count, self._randomness)
