"""Reads any data set into the project's own tables: train, queries and gallery.

Run: python -m twinshelf.training.catalogues.prepare --data products.csv --out .cache/data/products
"""

from __future__ import annotations

import csv
import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from twinshelf.client.files.names.columns import read_column_mapping
from twinshelf.client.files.photo_fetch import PhotoFetcher
from twinshelf.client.files.product_rows import ProductFiles, ReadOptions
from twinshelf.client.files.rows import BadRow, TableForm
from twinshelf.server.command_line import text_option
from twinshelf.training.catalogues.esci import LOCALES, read_esci_tables
from twinshelf.training.catalogues.fashion import read_fashion
from twinshelf.training.catalogues.grocery import read_grocery
from twinshelf.training.catalogues.kazanexpress import read_kazanexpress
from twinshelf.training.catalogues.product import Product
from twinshelf.training.catalogues.reading import MatchingData, Row, checked
from twinshelf.training.catalogues.shopee import read_shopee
from twinshelf.training.catalogues.splits import split_by_group
from twinshelf.training.catalogues.sports import read_sports
from twinshelf.training.catalogues.table import make_product, write_table
from twinshelf.training.command_line import run_command
from twinshelf.training.files import atomic_write, file_state, write_json

BAD_ROWS = "bad_rows.csv"
SUMMARY = "data.json"
# Photos that a table of one's own names, read or not: when one changes, so do the tables.
PHOTO_LIST = "photos.txt"
FETCHED = "fetched"
TABLES = ("train", "queries", "gallery")
SHOWN_BAD_ROW_COUNT = 10
PLACES = ("data_dir", "out")  # what of a source is a place of this machine
Reader = Callable[[Path, int], MatchingData]


# Data sets with a folder and a layout of their own, by the name that --data takes.
PUBLISHED: Mapping[str, Reader] = {
    "grocery": read_grocery,
    "fashion": read_fashion,
    "shopee": read_shopee,
    "sports": read_sports,
    "kazanexpress": read_kazanexpress,
    "esci": read_esci_tables,
    **{f"esci-{locale}": partial(read_esci_tables, locale=locale) for locale in LOCALES},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Reads a data set into train.parquet, queries.parquet and gallery.parquet.

    Tables of one's own: see `twinshelf index --help`.

    Attributes:
        data: A published data set (grocery, fashion, shopee, sports, kazanexpress, esci, esci-us,
            esci-es, esci-jp), or a table or a folder of photos of one's own.
        data_dir: Folder of the data set.
        columns: Columns of a table of one's own, such as title=name,images=photo.
        delimiter: Character between the cells of a text table; default: found.
        encoding: Encoding of a text table; default: found.
        header: The first row names the columns; without, they are 1, 2, ...
        image_root: Folder in which photos may lie, besides that of the table.
        fetch_images: Fetch photos that are URLs, from public addresses; they stay in the target.
        out: Target folder; default: .cache/data/NAME.
        seed: Seed of the split.
    """

    data: str
    data_dir: Path | None = None
    columns: Mapping[str, Sequence[str]] = text_option(read_column_mapping)
    delimiter: str = ""
    encoding: str = ""
    header: bool = True
    image_root: str = ""
    fetch_images: bool = False
    out: Path | None = None
    seed: int = 42

    @property
    def folder(self) -> Path:
        """Target folder."""
        return self.out or Path(".cache/data") / Path(self.data).stem


def read_data(source: Source) -> MatchingData:
    """Reads a data set, checks every row and splits it.

    Raises:
        FileNotFoundError: If a file of the data set is missing.
        ValueError: If a file lacks a column, or the options do not fit the data set.
    """
    if source.columns and source.data in PUBLISHED:
        raise ValueError(f"--columns is for tables of one's own, not for {source.data}")
    if source.data in PUBLISHED:
        if source.data_dir is None:
            raise ValueError(f"--data {source.data} needs --data-dir, the folder of the data set")
        if not source.data_dir.is_dir():
            raise ValueError(f"--data-dir {source.data_dir} is not a folder")
        return PUBLISHED[source.data](source.data_dir, source.seed)
    if source.data_dir is not None:
        raise ValueError("--data-dir is for data sets known by name, not for a table")
    table = Path(source.data)
    if table.suffix == "" and not table.exists():
        raise ValueError(
            f"--data must be {', '.join(PUBLISHED)}, or a table or a folder of photos, "
            f"got {source.data!r}"
        )
    return _read_own_table(table, source)


def prepare(source: Source) -> MatchingData:
    """Writes the three tables of a data set, `bad_rows.csv` and `data.json` into its target folder.

    `data.json` says what was read with which options, and holds a digest over the three tables and
    the states of their photos.

    Raises:
        FileNotFoundError: If a file of the data set is missing.
        ValueError: If the data set cannot be read, or no row of it can be used.
    """
    data, out = read_data(source), source.folder
    if not data.gallery or not data.train:
        first = f"; the first: {data.bad_rows[0]}" if data.bad_rows else ""
        raise ValueError(f"no usable row in {source.data}, {len(data.bad_rows)} bad ones{first}")
    digest = hashlib.sha256()

    def noted(product: Product) -> Product:
        """Counts the photos of a product in."""
        digest.update("".join(map(file_state, product.images)).encode())
        return product

    for name in TABLES:
        write_table(out / f"{name}.parquet", map(noted, getattr(data, name)))
        digest.update(file_state(out / f"{name}.parquet").encode())
    _write_bad_rows(out / BAD_ROWS, data.bad_rows)
    summary = {
        "source": {name: value for name, value in asdict(source).items() if name not in PLACES},
        "train_count": len(data.train),
        "query_count": len(data.queries),
        "gallery_count": len(data.gallery),
        "bad_row_count": len(data.bad_rows),
        "findings": data.findings,
        "sha256": digest.hexdigest(),
    }
    write_json(out / SUMMARY, summary)
    return data


def main(arguments: Sequence[str] | None = None) -> int:
    """Prepares a data set as the command line says; returns the exit status."""
    program = "twinshelf.training.catalogues.prepare"
    return run_command(Source, program, lambda source: _report(prepare(source), source), arguments)


def _read_own_table(table: Path, source: Source) -> MatchingData:
    out = source.folder
    options = ReadOptions(
        columns=source.columns,
        form=TableForm(
            delimiter=source.delimiter, encoding=source.encoding, has_header=source.header
        ),
        image_root=Path(source.image_root) if source.image_root else None,
        fetcher=PhotoFetcher(out / FETCHED) if source.fetch_images else None,
    )
    files = ProductFiles([table], options)
    with atomic_write(out / PHOTO_LIST) as partial, partial.open("w", encoding="utf-8") as photos:

        def offers() -> Iterator[tuple[int, Row]]:
            """Reads the rows, and notes their photos."""
            for row in files.rows():
                if isinstance(row, BadRow):
                    yield row.row_number, row
                    continue
                for photo in row.photos:
                    if photo.name and not photo.is_url:
                        photos.write(f"{photo.path or table.parent / photo.name}\n")
                yield row.row_number, make_product(row, out / "photos")

        data = split_by_group(checked(offers(), table.name, findings=files.findings), source.seed)
    return replace(data, findings=tuple(files.findings.sentences()))


def _write_bad_rows(path: Path, bad_rows: Sequence[BadRow]) -> None:
    with atomic_write(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("source", "row_number", "reason"))
        writer.writerows((row.source, row.row_number, row.reason) for row in bad_rows)


def _report(data: MatchingData, source: Source) -> None:
    out = source.folder
    lines = [
        f"{len(data.gallery)} catalogue products, {len(data.train)} rows to train on, "
        f"{len(data.queries)} held-out offers, {len(data.bad_rows)} bad rows in {out}"
    ]
    if not data.queries:
        lines.append("no row shares its group with another: nothing can be matched or evaluated")
    lines += [f"  {sentence}" for sentence in data.findings]
    lines += [f"  bad: {row}" for row in data.bad_rows[:SHOWN_BAD_ROW_COUNT]]
    if len(data.bad_rows) > SHOWN_BAD_ROW_COUNT:
        lines.append(f"  all of them in {out / BAD_ROWS}")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
