"""`twinshelf index FILE...` and `twinshelf match FILE...`: what they do with the files."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TextIO

import grpc

from twinshelf.client.commands import output
from twinshelf.client.commands.index_command import (
    IndexReport,
    index_files,
    print_report,
    write_report,
)
from twinshelf.client.commands.match_files import match_files
from twinshelf.client.commands.match_table import StagedTable
from twinshelf.client.commands.options import FileOptions, IndexOptions
from twinshelf.client.commands.resume_point import ResumePoint, cache_folder, run_digest
from twinshelf.client.errors import (
    PreconditionError,
    ServiceUnavailableError,
    TwinshelfError,
)
from twinshelf.client.file_products import read_updated_fields
from twinshelf.client.files.file_check import check_files
from twinshelf.client.files.findings import count_of
from twinshelf.client.files.forms.stored_bytes import STANDARD_INPUT, store_standard_input
from twinshelf.client.files.photo_fetch import PhotoFetcher
from twinshelf.client.files.product_rows import ProductFiles, ReadOptions
from twinshelf.client.files.rows import ProductFileError, TableForm
from twinshelf.client.records import MatchOptions
from twinshelf.client.sync_client import Client


def run_check(
    paths: Sequence[Path],
    options: FileOptions,
    updated_fields: str,
    stream: TextIO,
    *,
    as_json: bool,
) -> None:
    """Says how the files would be read, and stores nothing.

    Args:
        paths: Files or folders; "-" is standard input.
        options: How they are read.
        updated_fields: Fields that would be changed, as the user wrote them; none stores whole
            products.
        stream: Where to.
        as_json: Whether for programs.

    Raises:
        ValueError: If there is no such field.
        ProductFileError: If a file cannot be read.
    """
    reading = replace(choose_reading(options), updated_fields=read_updated_fields(updated_fields))
    check = check_files(_stored(paths), reading)
    if as_json:
        value = asdict(check)
        for proposal in value["proposals"]:
            proposal["path"] = str(proposal["path"])
        output.write_json(stream, value)
        return
    for line in check.lines():
        stream.write(output.printable(line) + "\n")


def run_index(
    client: Client,
    paths: Sequence[Path],
    file_options: FileOptions,
    options: IndexOptions,
    stream: TextIO,
    *,
    as_json: bool,
) -> bool:
    """Stores the products of files, from where an interrupted run of the same stopped.

    Args:
        client: Where to.
        paths: Files or folders; "-" is standard input.
        file_options: How they are read.
        options: What is done with the products; `check` is not for here.
        stream: Where the report goes; progress goes to standard error.
        as_json: Whether the report is for programs.

    Returns:
        Whether every row is stored.

    Raises:
        ValueError: If `update` names a field that there is not.
        ProductFileError: If a file cannot be read.
        TwinshelfError: If the service fails as a whole, or no encoder is being reindexed.
    """
    reading = choose_reading(file_options, photo_count=options.photos)
    reading = replace(reading, updated_fields=read_updated_fields(options.update))
    files = ProductFiles(_stored(paths), reading)
    kept, stats = _kept_digests(client) if options.reindex else [], client.stats()
    # In another catalogue, and in one that was restored, what an earlier run stored is missing.
    digest = run_digest(client.address, files, reading, stats.history_id, *kept)
    note = cache_folder() / "index" / digest
    is_piped = "-" in map(str, paths)  # then nothing is there to go on with
    point = ResumePoint(note, begins_anew=options.restart or not stats.product_count)
    report, is_finished = IndexReport(reindexes=options.reindex), False
    if point.done_count:
        sys.stderr.write(
            f"going on behind row {point.done_count:,}, where an earlier run stopped; --restart "
            "begins anew\n"
        )
    try:
        console = output.make_console(sys.stderr)
        index_files(client, files, report, point, console, reading.updated_fields)
        is_finished = True
    except (TwinshelfError, ProductFileError, OSError, KeyboardInterrupt):
        stored = count_of(report.stored_count, "product")
        if report.failures:
            print_report(report, output.make_console(sys.stderr))
        way_on = "" if is_piped else "; the same command goes on from here"
        sys.stderr.write(f"{stored} {report.done_word} before this{way_on}:\n")
        raise
    finally:
        point.close(is_finished=is_finished or is_piped)
    if as_json:
        write_report(report, stream)
    else:
        print_report(report, output.make_console(stream))
    return not report.failures


def _kept_digests(client: Client) -> list[str]:
    """Returns the encoders that are being reindexed: a run for others begins anew.

    Raises:
        PreconditionError: If none is, so that every photo would be refused.
    """
    kept = [state.encoder.digest for state in client.encoders.list() if state.is_kept]
    if not kept:
        raise PreconditionError(
            "no encoder waits for photos: begin with `twinshelf encoders reindex ENCODER`, which "
            "says whether any are needed",
            code=grpc.StatusCode.FAILED_PRECONDITION,
        )
    return kept


def run_match_files(
    client: Client,
    paths: Sequence[Path],
    options: FileOptions,
    match_options: MatchOptions,
    table: Path,
    stream: TextIO,
    *,
    as_json: bool,
) -> bool:
    """Matches every offer of files and writes a table, from where the same run stopped before.

    Args:
        client: Of the service.
        paths: Files or folders; "-" is standard input.
        options: How they are read.
        match_options: How to match.
        table: CSV or Parquet to write.
        stream: Where the counts go; progress goes to standard error.
        as_json: Whether the counts are for programs.

    Returns:
        Whether no offer failed.

    Raises:
        ProductFileError: If a file cannot be read, or the table is one of them or has another
            ending.
        TwinshelfError: If the service fails as a whole.
    """
    _check_not_read(table, paths)
    read_options = choose_reading(options)
    files = ProductFiles(_stored(paths), read_options)
    match_options = _pinned(client, match_options)
    digest = run_digest(client.address, files, read_options, match_options)
    with StagedTable(table, digest) as staged:
        if staged.done_count:
            sys.stderr.write(
                f"going on behind offer {staged.done_count:,}, where an earlier run stopped; "
                f"without {staged.path} it begins anew\n"
            )
        try:
            report = match_files(
                client, files, match_options, staged, output.make_console(sys.stderr)
            )
        except (TwinshelfError, ProductFileError, OSError, KeyboardInterrupt):
            way_on = "" if "-" in map(str, paths) else "; the same command goes on from here"
            sys.stderr.write(f"stopped{way_on}:\n")
            raise
    findings = files.findings.sentences()
    if as_json:
        output.write_json(stream, asdict(report) | {"findings": findings})
        return not report.failed_count
    stream.writelines(f"{output.printable(sentence)}\n" for sentence in findings)
    stream.write(
        f"{count_of(report.matched_count, 'offer')} matched, {report.unmatched_count:,} "
        f"without a match, {report.failed_count:,} failed; the matches are in {table}\n"
    )
    return not report.failed_count


def _check_not_read(table: Path, paths: Sequence[Path]) -> None:
    if any(path.exists() and table.exists() and table.samefile(path) for path in paths):
        raise ProductFileError(
            f"{table} would be replaced by the table of its matches; --output names another"
        )


def _pinned(client: Client, options: MatchOptions) -> MatchOptions:
    """Has the encoder that serves now answer to the end, where the options name none.

    A table of two would have two meanings of a score.

    Raises:
        ServiceUnavailableError: If it is away, so that what an earlier run has matched must wait.
    """
    if options.encoder_digest or options.encoder_version:
        return options
    digest = client.stats().encoder.digest
    if not digest:
        raise ServiceUnavailableError(
            "the service does not reach its encoder; `twinshelf doctor` says why",
            code=grpc.StatusCode.UNAVAILABLE,
        )
    return replace(options, encoder_digest=digest)


def choose_reading(options: FileOptions, *, photo_count: int = 1) -> ReadOptions:
    """Returns how files are read, as the command line says.

    Args:
        options: How the user wants it.
        photo_count: Most photos of a product.
    """
    delimiter = "\t" if options.delimiter in ("tab", "\\t") else options.delimiter
    return ReadOptions(
        columns=options.columns or {},
        form=TableForm(
            delimiter=delimiter, encoding=options.encoding, has_header=not options.no_header
        ),
        image_root=options.image_root,
        fetcher=PhotoFetcher(cache_folder() / "photos") if options.fetch_images else None,
        photo_count=photo_count,
    )


def _stored(paths: Sequence[Path]) -> list[Path]:
    """Returns the files; standard input is stored in one first."""
    return [
        store_standard_input(sys.stdin.buffer) if path == STANDARD_INPUT else path for path in paths
    ]
