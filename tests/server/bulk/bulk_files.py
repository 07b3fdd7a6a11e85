"""Files of products for bulk embedding, and the tables that it makes of them."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from tests.model_repository.triton_calls import photo
from twinshelf.client.commands.index_command import IndexReport
from twinshelf.client.files.product_rows import USUAL_OPTIONS, ReadOptions
from twinshelf.server.bulk.embedded_folder import enumerate_parts, output_name
from twinshelf.server.bulk.embedding_run import EmbeddingOrder, embed_files
from twinshelf.server.bulk.workers import WorkerConfig

ROW_COUNT = 100
# Row numbers, from 1.
EMPTY_ROW, REPEATED_ROW, BROKEN_PHOTO_ROW, ONLY_BROKEN_PHOTO_ROW = 7, 50, 60, 70
WORDS = ("red", "green", "blue", "tea", "coffee", "cup", "box")


def write_products(path: Path, row_count: int = ROW_COUNT) -> None:
    """Writes a CSV file, and photos beside it, some of which are none."""
    folder = path.parent
    (folder / "broken.jpg").write_bytes(b"no photo")
    for number in range(5):
        (folder / f"{number}.jpg").write_bytes(photo(20, 30, seed=number))
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["product_id", "title", "brand", "price", "images", "size"])
        for number in range(1, row_count + 1):
            words = f"{WORDS[number % 7]} {WORDS[number % 5]} {number}"
            row = [f"p{number}", words, "brand", str(number), f"{number % 5}.jpg", "large"]
            if number % 3 == 0:
                row[4] = ""
            if number == EMPTY_ROW:
                row[1] = row[2] = row[4] = ""
            elif number == REPEATED_ROW:
                row[0] = "p1"
            elif number == BROKEN_PHOTO_ROW:
                row[4] = "broken.jpg"
            elif number == ONLY_BROKEN_PHOTO_ROW:
                row[1], row[2], row[4] = "", "", "broken.jpg"
            writer.writerow(row)


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkFiles:
    """What a run reads and writes.

    Attributes:
        folder: Where the file `products.csv` lies.
        repository: The model repository.
        console: Takes the progress.
    """

    folder: Path
    repository: Path
    console: Console

    @property
    def out(self) -> Path:
        """Where the embeddings go."""
        return self.folder / "out"

    @property
    def output(self) -> Path:
        """Where those of the file go."""
        return self.out / output_name(self.folder / "products.csv")

    def embed(
        self,
        *paths: Path,
        reading: ReadOptions = USUAL_OPTIONS,
        version: int = 1,
        worker_count: int = 1,
    ) -> IndexReport:
        """Runs over files, or over the one file."""
        return embed_files(
            EmbeddingOrder(
                paths=paths or (self.folder / "products.csv",),
                reading=reading,
                folder=self.out,
                repository=self.repository,
                version=version,
                workers=WorkerConfig(count=worker_count),
            ),
            self.console,
        )

    def table(self) -> pa.Table:
        """Returns the rows of the output."""
        return pa.concat_tables(pq.read_table(path) for _, path in enumerate_parts(self.output))


class BrokenRunError(Exception):
    """A run was broken on purpose."""


def break_after(row_count: int) -> Callable[[object], None]:
    """Returns what breaks a run once so many rows are done."""
    done_count = 0

    def advance(_: object) -> None:
        """Counts a row."""
        nonlocal done_count
        done_count += 1
        if done_count == row_count:
            raise BrokenRunError

    return advance
