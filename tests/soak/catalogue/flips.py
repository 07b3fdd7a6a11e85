"""One byte of the files is another, at a random place: named, repaired or without effect."""

from __future__ import annotations

import asyncio
import logging
import random
import shutil
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.server.catalogue.groups.planted import CONTRACT, GUARDS, groups_of, near, settle
from tests.server.catalogue.products import new_product, query_of, random_embedding
from tests.soak.catalogue.writer import open_catalogue
from twinshelf.server.catalogue.groups.group_record import Group, GroupEvent
from twinshelf.server.catalogue.rows.schema import CatalogueFileError
from twinshelf.server.encoders.embedding import OfferEmbedding
from twinshelf.server.errors import TwinshelfError

PRODUCT_COUNT = 300
# So many first ones are three each of the same item, and stand in groups.
GROUPED_COUNT, GROUP_SIZE = 90, 3
# The service reads its whole file at the start, beside its callers.
CHECK_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Truth:
    """What the catalogue held before."""

    embeddings: dict[str, OfferEmbedding]
    groups: dict[int, Group]
    events: list[GroupEvent]


class _Words(logging.Handler):
    """Whether anything was complained of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Counts a complaint."""
        self.count += 1


async def flip_bytes(folder: Path, count: int, seed: int) -> dict[str, object]:
    """Flips bytes of a catalogue at rest, one at a time, and asks it for everything.

    Returns:
        How often what happened: "named" (a refusal, a row set aside, a rebuilt index), "no effect"
        (every answer right, without a word); `broken` holds wrong answers without a word.
    """
    chance, kinds, broken = random.Random(seed), Counter[str](), list[str]()
    truth = await _fill(folder / "whole")
    words = _Words()
    logging.getLogger("twinshelf").addHandler(words)
    files = [p for p in sorted((folder / "whole").rglob("*")) if p.is_file() and p.stat().st_size]
    for trial in range(count):
        shutil.rmtree(folder / "harmed", ignore_errors=True)
        shutil.copytree(folder / "whole", folder / "harmed")
        # Every file has its share of the flips, the small ones too.
        source = files[trial % len(files)]
        harmed = folder / "harmed" / source.relative_to(folder / "whole")
        content = bytearray(harmed.read_bytes())
        place = chance.randrange(len(content))
        content[place] ^= 1 << chance.randrange(8)
        harmed.write_bytes(content)
        words.count = 0
        wrong, is_named = await _find_wrong(folder / "harmed", truth)
        is_named |= words.count > 0
        kinds["named" if is_named else "wrong" if wrong else "no effect"] += 1
        if wrong and not is_named:
            broken.append(f"byte {place} of {source.name}: {wrong[:3]}")
    logging.getLogger("twinshelf").removeHandler(words)
    return {"flips": count, **kinds, "broken": broken}


async def _fill(folder: Path) -> _Truth:
    rng = np.random.default_rng(0)
    embeddings = {f"p{number}": random_embedding(rng) for number in range(PRODUCT_COUNT)}
    for number in range(GROUPED_COUNT):
        first = embeddings[f"p{number - number % GROUP_SIZE}"]
        embeddings[f"p{number}"] = near(first, rng, 0.01) if number % GROUP_SIZE else first
    catalogue = open_catalogue(folder, GUARDS)
    await catalogue.use_encoder(CONTRACT)
    for name, embedding in embeddings.items():
        await catalogue.upsert(new_product(name, embedding, CONTRACT))
    await settle(catalogue)
    apart, undone, *_ = await catalogue.groups.groups_after(0, 2)
    await catalogue.groups.split(apart.number, apart.product_ids[:1])
    event = await catalogue.groups.split(undone.number, undone.product_ids[:1])
    await catalogue.groups.undo(event.number)
    await settle(catalogue)
    groups = await groups_of(catalogue)
    events = await catalogue.groups.events_after(None, 0, PRODUCT_COUNT)
    await catalogue.close()
    if len(groups) < GROUPED_COUNT / GROUP_SIZE:
        raise RuntimeError(f"{len(groups)} groups were made of {GROUPED_COUNT} products")
    return _Truth(embeddings=embeddings, groups=groups, events=events)


async def _find_wrong(folder: Path, truth: _Truth) -> tuple[list[str], bool]:
    """Returns what was answered wrongly, and whether anything was refused or set aside."""
    wrong, is_named = list[str](), False
    try:
        catalogue = open_catalogue(folder)
    except CatalogueFileError:
        return [], True
    try:
        await catalogue.use_encoder(CONTRACT)
        for name, embedding in truth.embeddings.items():
            hits = (await catalogue.search(query_of(embedding, count=1))).hits
            right = (
                hits and hits[0].product.record.product_id == name and hits[0].ranked.score > 0.999
            )
            stored = await catalogue.product(name)
            if not right or stored is None or stored.record.title != f"title of {name}":
                wrong.append(name)
        if await groups_of(catalogue) != truth.groups:
            wrong.append("groups")
        if await catalogue.groups.events_after(None, 0, PRODUCT_COUNT) != truth.events:
            wrong.append("the history of groups")
        deadline_s = time.monotonic() + CHECK_TIMEOUT_S
        while wrong and not is_named and time.monotonic() < deadline_s:
            is_named = (await catalogue.stats(None)).damaged_product_count > 0
            is_named |= catalogue.problem is not None
            await asyncio.sleep(0.05)
    except TwinshelfError:
        is_named = True
    finally:
        await catalogue.close()
    return wrong, is_named
