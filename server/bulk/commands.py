"""The commands `twinshelf embed`, `load` and `unload`, which the client finds by an entry point.

They read files as `twinshelf index` does, but run the encoder, or open the catalogue, themselves.
Nothing heavy is imported before a command runs.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twinshelf.client.commands.option_groups import spread
from twinshelf.client.commands.options import FAILED, FileOptions, JsonOption, complain

if TYPE_CHECKING:
    from twinshelf.client.commands.index_command import IndexReport
    from twinshelf.server.bulk.import_folder import ImportFolder
    from twinshelf.server.catalogue.catalogue import Catalogue

# Each waits for a server elsewhere.
_MILVUS_READERS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """Which processes embed."""

    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Processes that embed (default: one for two cores; more than one need Ray).",
        ),
    ] = None
    ray: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Embed on this cluster of Ray, such as auto or ray://host:10001; the model "
            "repository lies at the same place on all of its machines (default: here).",
        ),
    ] = ""


@spread
def embed(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE", help="Files or folders, as `index` takes them.")
    ],
    file_options: FileOptions,
    out: Annotated[
        Path,
        typer.Option(
            metavar="FOLDER", help="Where the embeddings go: a folder of Parquet for each file."
        ),
    ],
    worker_options: WorkerOptions,
    model_repository: Annotated[
        Path, typer.Option(metavar="FOLDER", help="The model repository.")
    ] = Path("model_repository"),
    version: Annotated[
        int, typer.Option(metavar="N", min=0, help="Version of the encoder; 0 takes the newest.")
    ] = 0,
    photos: Annotated[
        int,
        typer.Option(metavar="N", min=1, max=16, help="Photos of a product at most."),
    ] = 1,
    json: JsonOption = False,
) -> None:
    """Embed the products of files into Parquet, without a service.

    What an earlier run has done is passed over, unless the file, its options or
    the encoder have changed. Rows that fail are listed and do not stop the
    others. `twinshelf load` brings the folder into a catalogue.
    """
    from twinshelf.client.commands.file_commands import choose_reading
    from twinshelf.client.commands.output import make_console
    from twinshelf.server.bulk.embedding_run import EmbeddingOrder, embed_files
    from twinshelf.server.bulk.workers import WorkerConfig

    with _told_in_a_sentence():
        report = embed_files(
            EmbeddingOrder(
                paths=tuple(files),
                reading=choose_reading(file_options, photo_count=photos),
                folder=out,
                repository=model_repository.absolute(),
                version=version,
                workers=WorkerConfig(count=worker_options.workers, address=worker_options.ray),
            ),
            make_console(sys.stderr),
        )
    _tell(report, as_json=json)


def load(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="What `twinshelf embed` has written.")
    ],
    catalogue: Annotated[
        str,
        typer.Option(
            metavar="FOLDER",
            help="The catalogue, made if new: a folder, which nobody may serve meanwhile, or "
            "milvus://host:port/name.",
        ),
    ] = ".cache/catalogue",
    import_folder: Annotated[
        str,
        typer.Option(
            metavar="FOLDER",
            help="Fill a catalogue on Milvus that never held a product by Milvus' bulk import, "
            "which is quicker, while no server has it open: by a folder that Milvus itself reads, "
            "a path or s3://bucket/prefix (default: write them).",
        ),
    ] = "",
    json: JsonOption = False,
) -> None:
    """Bring embedded products into a catalogue, without embedding them again.

    Their encoder must be that of the catalogue. Products that stand there already
    just so are left alone: a run that was stopped goes on.
    """
    import asyncio

    with _told_in_a_sentence():
        importing = _import_folder(import_folder, catalogue) if import_folder else None
        report = asyncio.run(_load(folder, catalogue, importing))
    _tell(report, as_json=json)


async def _load(folder: Path, place: str, importing: ImportFolder | None) -> IndexReport:
    from twinshelf.client.commands.output import make_console
    from twinshelf.client.commands.row_progress import RowProgress
    from twinshelf.server.bulk.embedded_folder import read_contract, read_outputs
    from twinshelf.server.bulk.loading import import_outputs, load_outputs
    from twinshelf.server.catalogue.milvus.milvus_catalogue import MilvusCatalogue

    contract = read_contract(folder)
    outputs = read_outputs(folder, contract)
    row_count = sum(whole.embedded_count for whole in outputs.values())
    async with _opened(place) as catalogue:
        with RowProgress(make_console(sys.stderr), folder.name, row_count) as progress:
            told = progress.advance
            if importing and isinstance(catalogue, MilvusCatalogue):
                report = await import_outputs(outputs, contract, catalogue, importing, told)
            else:
                report = await load_outputs(outputs, contract, catalogue, told)
        await catalogue.snapshot()
    return report


def _import_folder(text: str, place: str) -> ImportFolder:
    """Reads the folder by which a catalogue is to be filled.

    Raises:
        ValueError: If it is none, or the catalogue is not one that imports.
    """
    from twinshelf.server.bulk.import_folder import ImportFolder
    from twinshelf.server.catalogue.milvus.address import MilvusAddress

    address = MilvusAddress.parse(place)
    if address is None or address.is_lite:
        raise ValueError(f"--import-folder needs --catalogue milvus://host:port/name, got {place}")
    return ImportFolder.parse(text)


def unload(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Where the products go, for `load`.")
    ],
    catalogue: Annotated[
        str,
        typer.Option(
            metavar="FOLDER",
            help="The catalogue: a folder, which nobody may serve meanwhile (a backup will do), or "
            "milvus://host:port/name.",
        ),
    ] = ".cache/catalogue",
    model_repository: Annotated[
        Path,
        typer.Option(metavar="FOLDER", help="Where the encoder of the catalogue is published."),
    ] = Path("model_repository"),
) -> None:
    """Write the products of a catalogue and their embeddings into a folder.

    With `twinshelf load` a catalogue moves so from one engine to another, without
    embedding anything again. Its groups are not moved: they are formed anew.
    """
    import asyncio

    from twinshelf.client.commands.output import make_console
    from twinshelf.client.commands.row_progress import RowProgress
    from twinshelf.server.bulk.embedded_folder import WholeOutput
    from twinshelf.server.bulk.unloading import find_document, unload_products

    console = make_console(sys.stderr)

    async def run() -> WholeOutput:
        """Writes the products of the catalogue."""
        async with _opened(catalogue, is_made=False) as opened:
            document = find_document(opened, model_repository)
            with RowProgress(console, catalogue, opened.product_count) as progress:
                return await unload_products(opened, document, folder, progress.advance)

    with _told_in_a_sentence():
        whole = asyncio.run(run())
    make_console(sys.stdout).print(f"{whole.embedded_count:,} products written to {folder}")
    if failed_count := whole.row_count - whole.embedded_count:
        complain(f"{failed_count:,} products are not embedded; the column `error` says why")
        raise typer.Exit(FAILED)


def _tell(report: IndexReport, *, as_json: bool) -> None:
    from twinshelf.client.commands.index_command import print_report, write_report
    from twinshelf.client.commands.output import make_console

    if as_json:
        write_report(report, sys.stdout)
    else:
        print_report(report, make_console(sys.stdout))
    if report.failures:
        raise typer.Exit(FAILED)


@asynccontextmanager
async def _opened(place: str, *, is_made: bool = True) -> AsyncIterator[Catalogue]:
    """Opens a catalogue, made if new unless it must be there, and closes it in the end."""
    from twinshelf.server.catalogue.milvus.address import MilvusAddress
    from twinshelf.server.catalogue.milvus.milvus_catalogue import MilvusCatalogue
    from twinshelf.server.catalogue.one_machine.sqlite_catalogue import SqliteCatalogue

    address = MilvusAddress.parse(place)
    if address is None and not is_made and not Path(place).is_dir():
        raise ValueError(f"--catalogue {place} is no folder")
    opened: Catalogue
    if address is None:
        opened = SqliteCatalogue(Path(place), reader_count=1)
    else:
        opened = MilvusCatalogue(address, reader_count=_MILVUS_READERS)
    try:
        yield opened
    finally:
        await opened.close()


@contextmanager
def _told_in_a_sentence() -> Iterator[None]:
    """Ends the command with a sentence and a status where the encoder or the catalogue fails."""
    from twinshelf.server.bulk.workers import WorkerDiedError
    from twinshelf.server.catalogue.milvus.import_task import BulkImportError
    from twinshelf.server.catalogue.rows.schema import CatalogueFileError
    from twinshelf.server.errors import TwinshelfError

    try:
        yield
    except (TwinshelfError, WorkerDiedError, CatalogueFileError, BulkImportError) as error:
        complain(str(error))
        raise typer.Exit(FAILED) from None
