"""The encoders of a catalogue on Milvus, as a server sees them that another one has overtaken."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from twinshelf.server.catalogue.encoder_state import EncoderState
from twinshelf.server.catalogue.milvus import upkeep
from twinshelf.server.catalogue.milvus.counts import Counts
from twinshelf.server.catalogue.milvus.encoders import MilvusEncoders
from twinshelf.server.catalogue.milvus.state import CatalogueState
from twinshelf.server.catalogue.milvus.upkeep import MilvusConfig, MilvusUpkeep
from twinshelf.server.catalogue.write_item import Task

BOTH = CatalogueState(
    encoders=EncoderState(current="a", kept=frozenset({"a", "b"})), known=frozenset({"a", "b"})
)
SWITCHED = replace(BOTH, encoders=replace(BOTH.encoders, current="b"))


class Milvus:
    """Holds five products, of which as many are missing as is said."""

    products = "products"
    missing = 5

    def count(self, collection: str, condition: str, **_: object) -> int:
        """Counts the products."""
        if condition.startswith("kind") and "not (" not in condition:
            return 5
        return self.missing if "not (" in condition else 0


class Shown:
    """What a server has read of the catalogue."""

    state = BOTH

    def unembedded_after(self, number: int, digest: str, count: int) -> Sequence[object]:
        """Finds nothing: other servers have embedded all."""
        return []


class Writes:
    """Makes each write at once."""

    async def submit(self, task: Task) -> object:
        """Returns its result."""
        return task.result()


def server_of(milvus: Any, shown: Any) -> tuple[MilvusEncoders, Counts]:
    """Returns what one server knows, which has counted all."""
    counts = Counts(milvus, milvus)
    counts.refresh(shown.state)
    other: Any = SimpleNamespace()
    writes: Any = Writes()
    encoders = MilvusEncoders(
        collections=other,
        stored=shown,
        counts=counts,
        writer=other,
        writes=writes,
        open_index=other,
    )
    return encoders, counts


def test_a_switch_of_another_server_holds_here_once_its_encoder_lacks_nothing() -> None:
    milvus, shown = Milvus(), Shown()
    encoders, counts = server_of(milvus, shown)
    milvus.missing, shown.state = 0, SWITCHED
    assert (encoders.current, encoders.count_missing("b")) == ("a", 5)
    counts.refresh(shown.state)
    assert (encoders.current, encoders.count_missing("b")) == ("b", 0)


def test_an_encoder_that_another_server_has_dropped_serves_no_longer() -> None:
    shown = Shown()
    encoders, _ = server_of(Milvus(), shown)
    shown.state = SWITCHED.dropping("a")
    assert encoders.current == "b"


async def test_what_other_servers_have_embedded_is_not_missing_any_more() -> None:
    milvus = Milvus()
    encoders, _ = server_of(milvus, Shown())
    milvus.missing = 0
    assert encoders.count_missing("b") == 5
    assert await encoders.unembedded_after(0, "b", 10) == []
    assert encoders.count_missing("b") == 0


def test_all_is_counted_at_once_when_another_server_has_changed_the_encoders(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upkeep, "_COUNTING_SHARE", 1e-9)  # the next count is due in years
    counted = threading.Semaphore(0)
    changes = iter([False, True])
    milvus: Any = SimpleNamespace(read_state=lambda: BOTH)
    watched = MilvusUpkeep(
        connection=milvus,
        collections=milvus,
        stored=milvus,
        count=counted.release,
        is_outdated=lambda: next(changes, False),
        config=MilvusConfig(look_interval_s=0.001),
    )
    assert counted.acquire(timeout=10) and counted.acquire(timeout=10)
    watched.close()
