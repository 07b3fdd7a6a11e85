"""How long a stream listens, and what it takes from what it hears."""

from __future__ import annotations

import random
import time

import grpc
import pytest

from twinshelf.client.errors import DeadlineError, ServiceError
from twinshelf.client.listening import END, Listening
from twinshelf.client.records import Product, ProductUpdate, UpsertAnswer
from twinshelf.client.retries import RetryPolicy
from twinshelf.client.streams import StreamRows, upsert_method
from twinshelf.v1 import catalog_service_pb2

TIMEOUT_S = 5.0
QUICK, SLOW = (
    RetryPolicy(initial_backoff_s=backoff_s, max_backoff_s=backoff_s) for backoff_s in (0.5, 60.0)
)


Upserted = Product | ProductUpdate


def rows_of(policy: RetryPolicy) -> StreamRows[Upserted, UpsertAnswer]:
    return StreamRows(
        upsert_method(), policy=policy, timeout_s=TIMEOUT_S, randomness=random.Random(0)
    )


def listening_to(
    rows: StreamRows[Upserted, UpsertAnswer],
) -> Listening[Upserted, UpsertAnswer]:
    return Listening(rows, address="shelf:1", timeout_s=TIMEOUT_S)


def refusal(position: int) -> catalog_service_pb2.UpsertProductsResponse:
    response = catalog_service_pb2.UpsertProductsResponse(request_index=position)
    response.error.code = grpc.StatusCode.UNAVAILABLE.value[0]
    return response


def test_while_an_answer_is_owed_the_wait_is_the_rest_of_the_silence() -> None:
    rows = rows_of(QUICK)
    listening = listening_to(rows)
    rows.add(Product(product_id="tea"))
    wait = listening.next_wait()
    assert not wait.ends_in_repeat and 0 < wait.seconds <= TIMEOUT_S
    assert isinstance(listening.silence_error(), DeadlineError)
    assert "shelf:1 answered none" in listening.silence_error().message


@pytest.mark.parametrize(
    ("policy", "ends_in_repeat"), [(QUICK, True), (SLOW, False)], ids=["quick", "slow"]
)
def test_a_repeat_ends_the_wait_when_it_comes_before_the_silence_is_too_long(
    policy: RetryPolicy, ends_in_repeat: bool
) -> None:
    rows = rows_of(policy)
    listening = listening_to(rows)
    rows.add(Product(product_id="tea"))
    rows.add(Product(product_id="cup"))
    assert listening.take(refusal(0)) is None  # sent again later, while the cup is still owed
    assert listening.next_wait().ends_in_repeat is ends_in_repeat


def test_when_nothing_is_owed_only_the_repeat_is_waited_for() -> None:
    rows = rows_of(SLOW)
    listening = listening_to(rows)
    rows.add(Product(product_id="tea"))
    assert listening.take(refusal(0)) is None
    wait = listening.next_wait()
    assert wait.ends_in_repeat and wait.seconds > TIMEOUT_S


def test_what_is_heard_begins_the_silence_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    rows = rows_of(QUICK)
    listening = listening_to(rows)
    for name in ("tea", "cup"):
        rows.add(Product(product_id=name))
    now_s = 104.0
    assert listening.next_wait().seconds == 1.0
    answer = listening.take(catalog_service_pb2.UpsertProductsResponse(request_index=0))
    assert answer is not None and answer.product_id == "tea"
    assert listening.next_wait().seconds == TIMEOUT_S
    now_s = 200.0
    assert listening.next_wait().seconds == 0.0


def test_a_stream_that_ends_or_breaks_while_it_owes_answers_is_an_error() -> None:
    listening = listening_to(rows_of(QUICK))
    with pytest.raises(ServiceError, match="without an answer to every row"):
        listening.take(END)
    with pytest.raises(grpc.RpcError):
        listening.take(grpc.RpcError())
