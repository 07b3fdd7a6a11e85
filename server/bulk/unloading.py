"""Writes the products of a catalogue into embedded files; the way back of loading."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from twinshelf.server.bulk.embedded_folder import (
    EmbeddedOutput,
    WholeOutput,
    locked,
    write_contract,
)
from twinshelf.server.bulk.embedded_table import EmbeddedRow, make_table
from twinshelf.server.bulk.product_batch import PART_ROWS
from twinshelf.server.catalogue.catalogue import Catalogue
from twinshelf.server.catalogue.product_record import EmbeddedProduct, StoredProduct
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.embedding import stored_embedding
from twinshelf.server.encoders.local_encoder import contract_document
from twinshelf.server.errors import CatalogueDamagedError, EncoderMismatchError
from twinshelf.server.triton.repository import published_versions

OUTPUT_NAME = "catalogue"
# Read together, with their vectors and thumbnails.
_AT_ONCE = 1024


def find_document(catalogue: Catalogue, repository: Path) -> str:
    """Returns the contract, as JSON, of the encoder that embedded a catalogue.

    Args:
        catalogue: Whose.
        repository: Folder of the model repository where its version is published.

    Raises:
        EncoderMismatchError: If no encoder has embedded anything, or its version is not there.
        RepositoryError: If the repository cannot be read.
    """
    current = catalogue.encoders.current
    if current is None:
        raise EncoderMismatchError("the catalogue is empty: no encoder has embedded anything")
    for version in reversed(published_versions(repository)):
        document = contract_document(repository, version)
        if EncoderContract.from_json(document).digest == current:
            return document
    raise EncoderMismatchError(
        f"the encoder of the catalogue is {current}, but no version in {repository} is that one"
    )


async def unload_products(
    catalogue: Catalogue, document: str, folder: Path, advance: Callable[[], None]
) -> WholeOutput:
    """Writes every product by rising product_id, with what its encoder made of it.

    A product that this encoder has not embedded, or whose vectors are damaged, becomes a row with
    its error. Nothing may write the catalogue meanwhile.

    Args:
        catalogue: Whose products.
        document: Contract of the encoder, as JSON.
        folder: Where the output goes; what an earlier run left of it is replaced.
        advance: Called for every product.

    Raises:
        CatalogueDamagedError: If the fields of a product are damaged.
        EmbeddedFolderError: If another run writes the folder.
        TwinshelfError: If the catalogue fails.
    """
    contract = EncoderContract.from_json(document)
    change_sequence = (await catalogue.stats(contract.digest)).change_sequence
    output = EmbeddedOutput(folder=folder / OUTPUT_NAME, run=f"{contract.digest}:{change_sequence}")
    with locked(folder):
        write_contract(folder, document)
        part: list[EmbeddedRow] = []
        part_count = row_count = 0
        async for rows in _row_batches(catalogue, contract):
            part += rows
            row_count += len(rows)
            if len(part) >= PART_ROWS:
                output.write_part(part_count, [make_table(part, contract)])
                part, part_count = [], part_count + 1
            for _ in rows:
                advance()
        if row_count != catalogue.product_count:
            raise CatalogueDamagedError(
                f"{catalogue.product_count - row_count:,} products are damaged, and the log says "
                "which: write them again, or delete them"
            )
        if part:
            output.write_part(part_count, [make_table(part, contract)])
            part_count += 1
        return output.finish(part_count, contract)


async def _row_batches(
    catalogue: Catalogue, contract: EncoderContract
) -> AsyncIterator[list[EmbeddedRow]]:
    last, row_count = "", 0
    while products := await catalogue.products_after(last, _AT_ONCE):
        ids = [product.record.product_id for product in products]
        made = await catalogue.embedded_products(ids, contract)
        rows = (
            _read_row(catalogue, number, product, made.get(product.record.product_id), contract)
            for number, product in enumerate(products, start=row_count + 1)
        )
        yield await asyncio.gather(*rows)
        last, row_count = products[-1].record.product_id, row_count + len(products)


async def _read_row(
    catalogue: Catalogue,
    number: int,
    product: StoredProduct,
    embedded: EmbeddedProduct | None,
    contract: EncoderContract,
) -> EmbeddedRow:
    product_id = product.record.product_id
    row = EmbeddedRow(row_number=number, record=product.record)
    try:
        row.thumbnail = await catalogue.thumbnail(product_id) or b""
        if embedded and embedded.embedding and not embedded.further_count:
            row.embedding = embedded.embedding
            return row
        # Further photos are read one by one, and what is wrong with a product.
        changeable = await catalogue.changeable(product_id)
        made = None if changeable is None else changeable.vectors.get(contract.digest)
    except CatalogueDamagedError as error:
        row.error = error.message
        return row
    if made is None:
        row.error = f"not embedded by {contract.digest}"
        return row
    row.embedding = stored_embedding(made.vector, made.pattern, contract)
    row.further_images = made.further_images
    return row
