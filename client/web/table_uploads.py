"""Tables that visitors bring: kept while they are read, checked and stored."""

from __future__ import annotations

import hashlib
import io
import re
import secrets
import shutil
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

from rich.console import Console

from twinshelf.client.commands.index_command import IndexReport, index_files
from twinshelf.client.commands.resume_point import ResumePoint
from twinshelf.client.file_products import product_of
from twinshelf.client.files.file_check import FileCheck, check_files
from twinshelf.client.files.forms.table import open_table
from twinshelf.client.files.names.columns import FIELDS
from twinshelf.client.files.product_row import ProductRow
from twinshelf.client.files.product_rows import ProductFiles, ReadOptions
from twinshelf.client.files.rows import ProductFileError, TableForm
from twinshelf.client.files.values.photos import PhotoError
from twinshelf.client.records import Product
from twinshelf.client.sync_client import Client
from twinshelf.client.web.background import Progress

TABLES_KEPT = 16


@dataclass(slots=True, kw_only=True)
class TableUpload:
    """A table, and what became of it so far.

    Attributes:
        name: As the visitor calls it.
        path: Where it lies.
        visitor: Whose it is.
        image_root: Folder below which its photos may lie; None takes those that it holds itself.
        columns: Field to columns, as it was read last; empty before it was.
        all_columns: Names of its columns; empty before it was opened.
        has_header: Whether its first row names the columns.
        check: How it would be read; None before it was.
        report: What became of its rows; None before they were sent.
        progress: Of what is done with it now.
    """

    name: str
    path: Path
    visitor: str
    image_root: Path | None
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    all_columns: Sequence[str] = ()
    has_header: bool = True
    check: FileCheck | None = None
    report: IndexReport | None = None
    progress: Progress = field(default_factory=Progress)

    @property
    def options(self) -> ReadOptions:
        """How it is read."""
        return ReadOptions(
            columns=self.columns,
            form=TableForm(has_header=self.has_header),
            image_root=self.image_root,
        )

    def find_columns(self, columns: Mapping[str, Sequence[str]] | None = None) -> None:
        """Reads every row, and keeps what would become of it and which column is what.

        Args:
            columns: Field to columns, as the visitor chose; None to guess.

        Raises:
            ProductFileError: If it cannot be read so; what was kept before stays.
        """
        options = replace(self.options, columns=columns or {})
        try:
            if not self.all_columns:
                self.all_columns = open_table(self.path, options.form).columns
            check = check_files([self.path], options)
        except ProductFileError as error:
            raise ProductFileError(self._without_place(str(error))) from None
        check.findings = list(map(self._without_place, check.findings))
        proposal = check.proposals[0]
        read = [name for names in proposal.columns.values() for name in names]
        self.all_columns = [*dict.fromkeys([*read, *proposal.other_columns])]
        self.has_header = proposal.has_header
        self.columns = {name: proposal.columns.get(name, ()) for name in FIELDS}
        self.check = check

    def _without_place(self, text: str) -> str:
        """A message that says nothing of where the upload is kept."""
        return text.replace(str(self.path), self.name).replace(f"{self.path.parent}/", "")

    def digest(self) -> str:
        """Returns what tells its content from that of other tables, whatever they are called."""
        with self.path.open("rb") as file:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"

    def count_rows(self) -> int:
        """Counts its rows.

        Raises:
            ProductFileError: If it breaks off.
        """
        return ProductFiles([self.path], self.options).count_rows()

    def products(self) -> Iterator[Product]:
        """Yields its rows that can be read, with their photos where these can be.

        Raises:
            ProductFileError: If it breaks off.
        """
        for row in ProductFiles([self.path], self.options).rows():
            if isinstance(row, ProductRow):
                try:
                    yield product_of(row)
                except PhotoError:
                    yield product_of(replace(row, photos=()))

    def store(self, client: Client) -> None:
        """Stores its products.

        Args:
            client: Of the service.

        Raises:
            ProductFileError: If it breaks off.
            TwinshelfError: If the service fails as a whole.
        """
        self.report = IndexReport()
        point = ResumePoint(self.path.with_name("rows-done"))
        try:
            files = ProductFiles([self.path], self.options)
            index_files(client, files, self.report, point, Console(file=io.StringIO()))
        except ProductFileError as error:
            raise ProductFileError(self._without_place(str(error))) from None
        finally:
            report = self.report
            report.findings = list(map(self._without_place, report.findings))
            report.failures = [
                replace(each, reason=self._without_place(each.reason)) for each in report.failures
            ]
            point.close(is_finished=True)


class TableUploads:
    """The tables that came last; older ones are removed."""

    def __init__(self, folder: Path, image_root: Path | None) -> None:
        """Keeps tables in a folder.

        Args:
            folder: Where; the caller removes it.
            image_root: Folder below which the photos of tables may lie.
        """
        self._folder = folder
        self._image_root = image_root
        self._uploads: OrderedDict[str, TableUpload] = OrderedDict()

    def keep(self, name: str, content: IO[bytes], visitor: str) -> str:
        """Keeps a table and returns its identifier.

        Args:
            name: As the visitor calls it; its ending says what kind of file it is.
            content: Its bytes.
            visitor: Whose it is.

        Raises:
            OSError: If there is no room for it; nothing of it stays.
        """
        upload_id = secrets.token_hex(8)
        folder = self._folder / upload_id
        folder.mkdir()
        path = folder / f"table-{re.sub(r'[^A-Za-z0-9._-]', '_', name)[-80:]}"
        try:
            with path.open("wb") as file:
                shutil.copyfileobj(content, file)
        except OSError:
            shutil.rmtree(folder)
            raise
        self._uploads[upload_id] = TableUpload(
            name=name, path=path, visitor=visitor, image_root=self._image_root
        )
        others = list(self._uploads.items())[:-1]
        idle = [key for key, each in others if not each.progress.doing]
        for key in idle[: max(0, len(self._uploads) - TABLES_KEPT)]:
            shutil.rmtree(self._uploads.pop(key).path.parent)
        return upload_id

    def find(self, upload_id: str, visitor: str) -> TableUpload | None:
        """Returns a table of a visitor; None when there is none, or no longer."""
        upload = self._uploads.get(upload_id)
        return upload if upload and upload.visitor == visitor else None
