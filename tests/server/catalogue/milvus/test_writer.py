"""Writes to Milvus: their timestamps are young, and grow no older than watchers wait for."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from tests.server.catalogue.products import CONTRACT, new_product, random_embedding
from twinshelf.server.catalogue.milvus.address import MilvusAddress
from twinshelf.server.catalogue.milvus.collections import Collections
from twinshelf.server.catalogue.milvus.milvus_catalogue import MilvusCatalogue
from twinshelf.server.catalogue.milvus.upkeep import MilvusConfig
from twinshelf.server.catalogue.milvus.write_batch import LONGEST_STEP_S, LONGEST_WRITE_S

pytestmark = pytest.mark.milvus
EMBEDDING = random_embedding(np.random.default_rng(0))


class Clock:
    """Time that passes as the client of Milvus waits."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def time(self) -> float:
        return self.now_s

    monotonic = time

    def sleep(self, wait_s: float) -> None:
        self.now_s += wait_s


class NotReached(grpc.RpcError):
    """What gRPC raises where nobody listens."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNAVAILABLE

    def details(self) -> str:
        return "connection refused"


def age_of_slowest_write(attempt_s: float, monkeypatch: pytest.MonkeyPatch) -> float:
    """Returns how old a change is when its row is written, by tries that fail after some time."""
    from pymilvus import MilvusException, decorators

    clock = Clock()
    monkeypatch.setattr(decorators, "time", clock)
    sent_s = clock.now_s = LONGEST_STEP_S  # as late as a batch may send it

    def upsert(_: object, *, timeout: float) -> None:
        """Finds nobody until the last try, which takes all its time."""
        if clock.now_s < sent_s + timeout:
            clock.now_s += attempt_s
            raise NotReached
        clock.now_s += timeout

    repeated: Callable[..., Any] = decorators.retry_on_rpc_failure()(upsert)
    with suppress(MilvusException):  # its time was over before another try
        repeated(object(), timeout=LONGEST_STEP_S)
    return clock.now_s


def test_a_change_is_told_only_once_its_slowest_write_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tries = np.linspace(0, LONGEST_STEP_S, 1000).tolist()
    slowest_s = max(age_of_slowest_write(attempt_s, monkeypatch) for attempt_s in tries)
    assert 8 < slowest_s <= LONGEST_WRITE_S
    assert MilvusConfig().settle_s >= LONGEST_WRITE_S + 1


async def test_a_first_thumbnail_is_stored_however_long_its_collection_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = Collections.make_thumbnails

    def make_slowly(collections: Collections) -> None:
        time.sleep(LONGEST_STEP_S + 0.1)
        make(collections)

    monkeypatch.setattr(Collections, "make_thumbnails", make_slowly)
    address = MilvusAddress.parse(f"milvus-lite://{tmp_path}/catalogue.db")
    assert address is not None
    catalogue = MilvusCatalogue(address, reader_count=1)
    await catalogue.use_encoder(CONTRACT)
    await catalogue.upsert(replace(new_product("a", EMBEDDING), thumbnail=b"jpeg"))
    assert await catalogue.thumbnail("a") == b"jpeg"
    await catalogue.close()
