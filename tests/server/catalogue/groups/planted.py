"""Products with planted groups, and the groups that a catalogue and `make group` make of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np

from tests.server.catalogue.conftest import MILVUS
from tests.server.catalogue.products import new_product
from tests.server.fake_encoder import make_contract
from twinshelf.server.catalogue.groups.formation import GroupGuards
from twinshelf.server.catalogue.groups.group_record import Group
from twinshelf.server.catalogue.milvus.address import MilvusAddress
from twinshelf.server.catalogue.milvus.milvus_catalogue import MilvusCatalogue
from twinshelf.server.catalogue.one_machine.sqlite_catalogue import SqliteCatalogue
from twinshelf.server.catalogue.product_record import NewProduct, ProductRecord
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.embedding import OfferEmbedding
from twinshelf.server.encoders.modalities import Pattern
from twinshelf.server.errors import CatalogueUnavailableError
from twinshelf.training.evaluation.embedded_products import EmbeddedProducts
from twinshelf.training.grouping.components import form_groups
from twinshelf.training.grouping.edges import unite
from twinshelf.training.grouping.evidence import gather_evidence, without_clashes
from twinshelf.training.grouping.grouping_config import GroupingConfig
from twinshelf.training.retrieval.calibration import Calibration, Curve
from twinshelf.training.retrieval.embeddings import ProductEmbeddings

GroupedCatalogue = SqliteCatalogue | MilvusCatalogue
CURVE = {"scores": [0.4, 0.95], "probabilities": [0.0, 1.0], "threshold": 0.8}
CURVES = dict.fromkeys(("image", "text", "both"), CURVE)
CALIBRATION = Calibration(
    curves=dict.fromkeys(CURVES, Curve(scores=(0.4, 0.95), probabilities=(0.0, 1.0))),
    thresholds=dict.fromkeys(CURVES, 0.8),
)


def contract_of(dimension: int, name: str = "first", **changes: object) -> EncoderContract:
    """Makes a contract whose pairs are calibrated."""
    values = {
        "pair_curves": CURVES,
        "image_dim": dimension,
        "text_dim": dimension,
        "embedding_dim": 2 * dimension,
    }
    return make_contract(name, 1, **(values | changes))


def plant(
    sizes: Sequence[int], *, dimension: int, noise: float, generator: np.random.Generator
) -> tuple[list[OfferEmbedding], list[str]]:
    """Makes products of groups of the given sizes, near their group's centre in both modalities.

    A fifth of them has no photo, a fifth no text.

    Returns:
        The embeddings, and the group of each.
    """
    groups = np.repeat(np.arange(len(sizes)), sizes)
    halves = []
    for _ in range(2):
        centres = _unit(generator.normal(size=(len(sizes), dimension)))
        drift = generator.normal(size=(len(groups), dimension)) * noise / dimension**0.5
        halves.append(_unit(centres[groups] + drift))
    kinds = generator.choice(
        [Pattern.BOTH, Pattern.IMAGE, Pattern.TEXT], len(groups), p=(3 / 5, 1 / 5, 1 / 5)
    )
    embeddings = [
        OfferEmbedding(image=image if kind & 1 else None, text=text if kind & 2 else None)
        for image, text, kind in zip(*halves, kinds.tolist(), strict=True)
    ]
    return embeddings, [f"g{group}" for group in groups]


CONTRACT = contract_of(16)
GUARDS = GroupGuards()


def products_of(
    embeddings: Sequence[OfferEmbedding], contract: EncoderContract, titles: Sequence[str] = ()
) -> list[NewProduct]:
    """Makes products p0, p1, ...; the last of them have no titles of their own."""
    records = [
        ProductRecord(product_id=f"p{row:05}", title=title) for row, title in enumerate(titles)
    ]
    return [
        new_product(f"p{row:05}", each, contract, record)
        for row, (each, record) in enumerate(zip_longest(embeddings, records))
    ]


def rounded(embedding: OfferEmbedding) -> OfferEmbedding:
    """Returns an embedding as fp16 keeps it, so that no score differs by rounding alone."""
    halves = [
        None if half is None else half.astype(np.float16).astype(np.float32)
        for half in (embedding.image, embedding.text)
    ]
    return OfferEmbedding(image=halves[0], text=halves[1])


def batch_groups(
    embeddings: Sequence[OfferEmbedding],
    groups: Sequence[str],
    contract: EncoderContract,
    titles: Sequence[str],
) -> list[int]:
    """Returns the number of each product's group as `make group` forms them."""
    absent = np.zeros(contract.image_dimension, dtype=np.float32)
    products = EmbeddedProducts(
        embeddings=ProductEmbeddings(
            image=np.stack([absent if each.image is None else each.image for each in embeddings]),
            text=np.stack([absent if each.text is None else each.text for each in embeddings]),
        ),
        product_ids=tuple(f"p{row:05}" for row in range(len(embeddings))),
        groups=tuple(groups),
        categories=("",) * len(embeddings),
    )
    config = GroupingConfig()
    evidence = gather_evidence(
        products, calibration=CALIBRATION, fusion_weight=contract.fusion_weight, config=config
    )
    edges = without_clashes(unite(list(evidence.values())), titles)
    numbers: list[int] = form_groups(edges, len(products), config).numbers.tolist()
    return numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """Where catalogues are kept.

    Attributes:
        place: A folder, or the address of a catalogue on Milvus; the names of catalogues follow it.
    """

    place: str

    def open(self, name: str, guards: GroupGuards | None) -> GroupedCatalogue:
        """Opens a catalogue."""
        address = MilvusAddress.parse(f"{self.place}{name}")
        if address is None:
            return SqliteCatalogue(Path(self.place, name), reader_count=1, guards=guards)
        return MilvusCatalogue(address, reader_count=1, config=MILVUS, guards=guards)


async def settle(catalogue: GroupedCatalogue) -> None:
    """Groups all that was written, beside the catalogue's own thread."""
    async with asyncio.timeout(60):
        while True:
            try:
                if not await catalogue.groups.pending_count():
                    return
                await asyncio.to_thread(catalogue._grouping.group_some)
            except CatalogueUnavailableError:  # Milvus shows a part of what it holds
                await asyncio.sleep(0.1)


async def groups_of(catalogue: GroupedCatalogue) -> dict[int, Group]:
    """Returns all groups of two products or more, by number."""
    found: dict[int, Group] = {}
    while more := await catalogue.groups.groups_after(max(found, default=0), 100):
        found |= {group.number: group for group in more}
    return found


@asynccontextmanager
async def grouping(
    engine: Engine,
    contract: EncoderContract = CONTRACT,
    guards: GroupGuards | None = GUARDS,
    name: str = "",
) -> AsyncIterator[GroupedCatalogue]:
    """Opens a catalogue that groups; without guards it only takes writes."""
    catalogue = engine.open(name, guards)
    try:
        await catalogue.use_encoder(contract)
        yield catalogue
    finally:
        await catalogue.close()


async def write(catalogue: GroupedCatalogue, products: Iterable[NewProduct]) -> None:
    """Writes products, all at once."""
    await asyncio.gather(*(catalogue.upsert(each) for each in products))


async def partition(catalogue: GroupedCatalogue) -> set[frozenset[str]]:
    """Returns the products that are grouped together."""
    await settle(catalogue)
    return {frozenset(group.product_ids) for group in (await groups_of(catalogue)).values()}


async def numbers(catalogue: GroupedCatalogue) -> dict[str, int]:
    """Returns product to number of its group."""
    await settle(catalogue)
    groups = await groups_of(catalogue)
    return {each: group.number for group in groups.values() for each in group.product_ids}


def near(centre: OfferEmbedding, generator: np.random.Generator, noise: float) -> OfferEmbedding:
    """Makes an embedding near another one."""
    halves = []
    for half in (centre.image, centre.text):
        assert half is not None
        moved = half + generator.normal(size=len(half)).astype(np.float32) * noise
        halves.append(moved / np.linalg.norm(moved))
    return OfferEmbedding(image=halves[0], text=halves[1])


def family(generator: np.random.Generator, count: int, first: int = 0) -> list[NewProduct]:
    """Makes products that are all the same."""
    rows = generator.normal(size=(2, 16)).astype(np.float32)
    image, text = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    centre = OfferEmbedding(image=image, text=text)
    made = products_of([near(centre, generator, 0.02) for _ in range(first + count)], CONTRACT)
    return made[first:]


def _unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
