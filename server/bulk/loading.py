"""Brings embedded files into a catalogue; nothing is embedded again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow.parquet as pq

from twinshelf.client.commands.index_command import IndexReport, RowFailure
from twinshelf.client.files.findings import count_of
from twinshelf.client.files.seen_identifiers import SeenIdentifiers
from twinshelf.server.bulk.embedded_folder import WholeOutput, enumerate_parts
from twinshelf.server.bulk.embedded_table import read_products
from twinshelf.server.bulk.import_folder import ImportFolder
from twinshelf.server.catalogue.catalogue import Catalogue
from twinshelf.server.catalogue.milvus.milvus_catalogue import MilvusCatalogue
from twinshelf.server.catalogue.product_record import EmbeddedProduct, NewProduct
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.embedding import stored_vector
from twinshelf.server.errors import (
    CatalogueDamagedError,
    CatalogueUnavailableError,
    EncoderMismatchError,
)

# Written together: a catalogue gathers writes that wait.
_AT_ONCE = 1024
_WAITS_S = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
Result = TypeVar("Result")


async def load_outputs(
    outputs: Mapping[Path, WholeOutput],
    contract: EncoderContract,
    catalogue: Catalogue,
    advance: Callable[[], None],
) -> IndexReport:
    """Stores embedded products; those that stand there as they are in the files are left alone.

    So a repeat writes only what an interrupted run has not. Of two rows of one identifier the first
    is stored.

    Args:
        outputs: Folders of parts, and what they hold.
        contract: That of the encoder which embedded them.
        catalogue: Where to.
        advance: Called for every product.

    Raises:
        EncoderMismatchError: If the products of the catalogue are of another encoder.
        TwinshelfError: If the catalogue fails.
    """
    await _use_encoder(contract, catalogue)
    report = IndexReport()
    with closing(_batches(outputs, contract, report)) as batches:
        for products in batches:
            await _store(products, contract, catalogue, report)
            for _ in products:
                advance()
    return report


async def import_outputs(
    outputs: Mapping[Path, WholeOutput],
    contract: EncoderContract,
    catalogue: MilvusCatalogue,
    folder: ImportFolder,
    advance: Callable[[], None],
) -> IndexReport:
    """Has Milvus import embedded products into a catalogue that never held one.

    Args:
        outputs: Folders of parts, and what they hold.
        contract: That of the encoder which embedded them.
        catalogue: Where to.
        folder: One that Milvus reads.
        advance: Called for every product.

    Raises:
        BulkImportError: If the catalogue holds products, or Milvus fails.
        EncoderMismatchError: If the products of the catalogue are of another encoder.
        TwinshelfError: If the catalogue fails.
    """
    await _use_encoder(contract, catalogue)
    report = IndexReport()

    def told(batches: Iterable[list[NewProduct]]) -> Iterator[list[NewProduct]]:
        """Yields the batches, and tells of each once it was taken."""
        for products in batches:
            yield products
            for _ in products:
                advance()

    with closing(_batches(outputs, contract, report)) as batches:
        report.stored_count = await catalogue.import_products(told(batches), folder)
    return report


async def _use_encoder(contract: EncoderContract, catalogue: Catalogue) -> None:
    current = catalogue.encoders.current
    if current not in (None, contract.digest) and catalogue.product_count:
        raise EncoderMismatchError(
            f"the encoder of the catalogue is {current}, but these products were embedded by "
            f"{contract.digest}; embed them by that version, or load them into another catalogue"
        )
    await catalogue.use_encoder(contract)


def _batches(
    outputs: Mapping[Path, WholeOutput], contract: EncoderContract, report: IndexReport
) -> Generator[list[NewProduct]]:
    """Yields all products, a batch at a time; repeated ones are reported."""
    seen = SeenIdentifiers()
    try:
        for output, whole in outputs.items():
            if failed_count := whole.row_count - whole.embedded_count:
                report.findings.append(f"{count_of(failed_count, 'row')} of {output} not embedded")
            yield from _output_batches(output, contract, report, seen)
    finally:
        seen.close()


def _output_batches(
    output: Path, contract: EncoderContract, report: IndexReport, seen: SeenIdentifiers
) -> Iterator[list[NewProduct]]:
    """Yields the products of an output, a batch at a time; repeated ones are reported."""
    for _, path in enumerate_parts(output):
        with pq.ParquetFile(path) as file:
            for table in file.iter_batches(batch_size=_AT_ONCE):
                yield [
                    product
                    for row_number, product in read_products(table, contract)
                    if _is_first(output, row_number, product.record.product_id, report, seen)
                ]


def _is_first(
    output: Path, row_number: int, product_id: str, report: IndexReport, seen: SeenIdentifiers
) -> bool:
    earlier = seen.add(product_id, f"row {row_number} of {output.name}")
    if earlier:
        reason = f"product_id {product_id!r} stands in {earlier} too"
        report.failures.append(
            RowFailure(row_number=row_number, product_id=product_id, reason=reason)
        )
    return not earlier


async def _store(
    products: list[NewProduct],
    contract: EncoderContract,
    catalogue: Catalogue,
    report: IndexReport,
) -> None:
    ids = [product.record.product_id for product in products]
    there = await _repeated(partial(catalogue.embedded_products, ids, contract))
    changed = [
        product
        for product in products
        if not _is_same(product, there.get(product.record.product_id), contract)
        or not await _repeated(partial(_has_thumbnail, product, catalogue))
    ]
    report.resumed_count += len(products) - len(changed)
    writes = (_repeated(partial(catalogue.upsert, product)) for product in changed)
    for stored in await asyncio.gather(*writes):
        report.stored_count += 1
        report.replaced_count += stored.replaced


async def _repeated(call: Callable[[], Awaitable[Result]]) -> Result:
    """Repeats a call while Milvus is away for a moment: a load of hours outlives that."""
    for wait_s in _WAITS_S:
        try:
            return await call()
        except CatalogueUnavailableError:
            await asyncio.sleep(wait_s)
    return await call()


def _is_same(product: NewProduct, there: EmbeddedProduct | None, contract: EncoderContract) -> bool:
    """Whether a product stands in the catalogue just so; further photos are never said to."""
    (vector,) = product.vectors
    return (
        there is not None
        and there.embedding is not None
        and there.product.record == product.record
        and there.embedding.pattern is vector.pattern
        and not len(vector.further_images)
        and not there.further_count
        and np.array_equal(stored_vector(there.embedding, contract), vector.vector)
    )


async def _has_thumbnail(product: NewProduct, catalogue: Catalogue) -> bool:
    """Whether the catalogue has the thumbnail of a product, where that is known."""
    if product.thumbnail is None:
        return True
    try:
        there = await catalogue.thumbnail(product.record.product_id)
    except CatalogueDamagedError:
        return False
    return (there or b"") == product.thumbnail
