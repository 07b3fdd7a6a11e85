"""A run over whole files: what is there already is passed over, the rest embedded and written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from rich.console import Console

from twinshelf.client.commands.index_command import IndexReport, RowFailure
from twinshelf.client.commands.resume_point import run_digest
from twinshelf.client.commands.row_progress import RowProgress
from twinshelf.client.files.product_rows import ProductFiles, ReadOptions
from twinshelf.server.bulk.embedded_folder import (
    EmbeddedOutput,
    locked,
    output_name,
    write_contract,
)
from twinshelf.server.bulk.embedding_worker import PublishedEncoder
from twinshelf.server.bulk.product_batch import PART_ROWS, ProductBatch, read_batches
from twinshelf.server.bulk.workers import WorkerConfig, Workers, start_workers
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.local_encoder import contract_document
from twinshelf.server.errors import EncoderContractError
from twinshelf.server.triton.repository import RepositoryError, newest_version


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingOrder:
    """What is embedded, how and where to.

    Attributes:
        paths: Files and folders of products.
        reading: How they are read.
        folder: Where the outputs go.
        repository: Folder of the model repository.
        version: Version of the encoder; 0 takes the newest.
        workers: Who embeds.
    """

    paths: tuple[Path, ...]
    reading: ReadOptions
    folder: Path
    repository: Path
    version: int
    workers: WorkerConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingTask:
    """An input that is embedded.

    Attributes:
        files: The input, one table.
        output: Where it goes.
        whole_parts: Parts that an earlier run has written.
    """

    files: ProductFiles
    output: EmbeddedOutput
    whole_parts: frozenset[int]


def embed_files(order: EmbeddingOrder, console: Console) -> IndexReport:
    """Embeds what the outputs of files lack; returns what became of all rows.

    Args:
        order: What, how and where to.
        console: Shows the progress.

    Raises:
        EmbeddedFolderError: If another run writes the folder.
        ProductFileError: If an input cannot be read, or breaks off.
        TwinshelfError: If the encoder fails.
        WorkerDiedError: If the workers do.
    """
    encoder, document = find_published(order)
    contract = EncoderContract.from_json(document)
    with locked(order.folder):
        write_contract(order.folder, document)
        tasks = plan_tasks(order, contract.digest)
        open_tasks = [task for task in tasks if task.output.whole is None]
        if open_tasks:
            name = ", ".join(task.files.name for task in open_tasks)
            row_count = sum(task.files.count_rows() for task in open_tasks)
            done_count = sum(task.output.count_rows(task.whole_parts) for task in open_tasks)
            with (
                start_workers(encoder, order.workers) as workers,
                RowProgress(console, name, row_count, done_count) as progress,
            ):
                embed_tasks(open_tasks, workers, contract, progress.advance)
        return _report_of(tasks)


def find_published(order: EmbeddingOrder) -> tuple[PublishedEncoder, str]:
    """Returns which encoder embeds, and its contract as JSON.

    Raises:
        EncoderContractError: If the version is not published, or has no contract.
    """
    try:
        version = order.version or newest_version(order.repository)
        document = contract_document(order.repository, version)
    except RepositoryError as error:
        raise EncoderContractError(str(error)) from error
    digest = EncoderContract.from_json(document).digest
    encoder = PublishedEncoder(repository=order.repository, version=version, digest=digest)
    return encoder, document


def plan_tasks(order: EmbeddingOrder, digest: str) -> list[EmbeddingTask]:
    """Returns what is to do for each input; looks for what earlier runs have done.

    Args:
        order: What is embedded.
        digest: That of the encoder.

    Raises:
        ProductFileError: If an input cannot be read.
    """
    tasks = []
    together = ProductFiles(order.paths, order.reading)
    for files, path in zip(together.apart(), order.paths, strict=True):
        run = run_digest(digest, files, order.reading, files.tables[0].prefix, PART_ROWS)
        output = EmbeddedOutput(folder=order.folder / output_name(path), run=run)
        tasks.append(EmbeddingTask(files=files, output=output, whole_parts=output.whole_parts()))
    return tasks


def embed_tasks(
    tasks: Sequence[EmbeddingTask],
    workers: Workers,
    contract: EncoderContract,
    advance: Callable[[], None],
) -> None:
    """Embeds what the outputs lack; each part is written when its last row is there.

    Args:
        tasks: The inputs.
        workers: Who embeds.
        contract: That of their encoder.
        advance: Called for every row.

    Raises:
        ProductFileError: If an input breaks off.
        TwinshelfError: If the encoder fails.
        WorkerDiedError: If the workers do.
    """
    tables: list[pa.Table] = []
    before: ProductBatch | None = None
    for batch, table in workers.embed(_batches(tasks, contract.max_batch_size)):
        if before is not None and _place_of(batch) != _place_of(before):
            tasks[before.input_place].output.write_part(before.part_number, tables)
            tables, before = [], None
        if not batch.rows:
            tasks[batch.input_place].output.finish(batch.part_number, contract)
            continue
        tables.append(table)
        before = batch
        for _ in batch.rows:
            advance()


def _report_of(tasks: Sequence[EmbeddingTask]) -> IndexReport:
    """Returns what became of the rows, those of earlier runs too."""
    report = IndexReport(reindexes=True)
    for task in tasks:
        whole = task.output.whole
        assert whole is not None, "every output is finished"
        report.stored_count += whole.embedded_count
        report.replaced_count += task.output.count_embedded(task.whole_parts)
        for trouble in task.output.troubles():
            if trouble.photo_error is not None:
                name = trouble.product_id or f"row {trouble.row_number}"
                task.files.findings.add("photo", f"{name}: {trouble.photo_error}")
            if trouble.error is not None:
                report.failures.append(
                    RowFailure(
                        row_number=trouble.row_number,
                        product_id=trouble.product_id,
                        reason=trouble.error,
                    )
                )
        report.findings += task.files.findings.sentences()
    return report


def _batches(tasks: Sequence[EmbeddingTask], batch_size: int) -> Iterator[ProductBatch]:
    for place, task in enumerate(tasks):
        yield from read_batches(task.files, place, batch_size, task.whole_parts)


def _place_of(batch: ProductBatch) -> tuple[int, int]:
    return batch.input_place, batch.part_number
