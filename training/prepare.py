"""Reads any data set into the project's own tables: train, queries and gallery.

Run: python -m training.prepare --data generated --out .cache/data/generated
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from training.catalogues.esci import LOCALES, read_esci_tables
from training.catalogues.fashion import read_fashion
from training.catalogues.generated.catalogue import generate_catalogue
from training.catalogues.grocery import read_grocery
from training.catalogues.kazanexpress import read_kazanexpress
from training.catalogues.reading import MatchingData, checked, split_by_group
from training.catalogues.shopee import read_shopee
from training.catalogues.sports import read_sports
from training.catalogues.table import parse_column_mapping, read_table, write_table
from training.preprocessing.settings import PreprocessingSettings
from training.product import BadRow
from training.whole_file import write_whole, written_whole

BAD_ROWS = "bad_rows.csv"
SUMMARY = "data.json"
TABLES = ("train", "queries", "gallery")
SHOWN_BAD_ROW_COUNT = 10
Reader = Callable[[Path, PreprocessingSettings, int], MatchingData]


def _esci_reader(locale: str) -> Reader:
    return lambda folder, settings, seed: read_esci_tables(folder, seed, locale)


# Data sets with a folder and a layout of their own, by the name that --data takes.
PUBLISHED: Mapping[str, Reader] = {
    "grocery": lambda folder, settings, seed: read_grocery(folder, settings),
    "fashion": read_fashion,
    "shopee": read_shopee,
    "sports": read_sports,
    "kazanexpress": read_kazanexpress,
    "esci": _esci_reader(""),
    **{f"esci-{locale}": _esci_reader(locale) for locale in LOCALES},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Which data set is read, and how.

    Attributes:
        data: "generated", a name of `PUBLISHED`, or a CSV or Parquet file of one's own.
        data_dir: Folder of the data set; for the generated one, where its pictures go.
        columns: Mapping of a file's columns, such as "title=name,images=photo".
        product_count: Products of the generated catalogue.
        offers_per_product: Rows of each generated product, its maker's included.
        seed: Seed of the generated catalogue and of the split.
    """

    data: str
    data_dir: Path | None = None
    columns: str = ""
    product_count: int = 300
    offers_per_product: int = 8
    seed: int = 42


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What `data.json` says of prepared data.

    Attributes:
        source: Options it was read with.
        train_count: Rows to train on.
        query_count: Held-out offers.
        gallery_count: Catalogue products.
        bad_row_count: Rows that were left out.
        first_bad_rows: The first of them, each with its reason.
        sha256: Digest over the three tables.
        inputs: Digest of what they were made from: options, code, and lists of the data set.
    """

    source: dict[str, str | int]
    train_count: int
    query_count: int
    gallery_count: int
    bad_row_count: int
    first_bad_rows: list[str]
    sha256: str
    inputs: str


def read_data(source: Source, out: Path) -> MatchingData:
    """Reads a data set, checks every row and splits it.

    Args:
        source: Which one.
        out: Folder of the generated pictures, unless the source names one.

    Raises:
        FileNotFoundError: If a file of the data set is missing.
        ValueError: If a file lacks a column, or the options do not fit the data set.
    """
    settings = PreprocessingSettings()
    if source.columns and source.data in ("generated", *PUBLISHED):
        raise ValueError(f"--columns is for tables of one's own, not for {source.data}")
    if source.data == "generated":
        rows = generate_catalogue(
            source.data_dir or out,
            product_count=source.product_count,
            offers_per_product=source.offers_per_product,
            seed=source.seed,
        )
        return split_by_group(checked(rows, settings, source="generated"), source.seed)
    if source.data in PUBLISHED:
        return PUBLISHED[source.data](_require_folder(source), settings, source.seed)
    if source.data_dir is not None:
        raise ValueError("--data-dir is for data sets known by name, not for a table")
    table = Path(source.data)
    if table.suffix == "":
        raise ValueError(
            f"--data must be generated, {', '.join(PUBLISHED)} or a .csv or .parquet file, "
            f"got {source.data!r}"
        )
    products = read_table(table, parse_column_mapping(source.columns))
    return split_by_group(checked(products, settings, source=table.name), source.seed)


def prepare(source: Source, out: Path) -> Summary:
    """Reads a data set into `out`: the three tables, `bad_rows.csv` and `data.json`.

    Args:
        source: Which data set.
        out: Target folder; made when missing.

    Raises:
        FileNotFoundError: If a file of the data set is missing.
        ValueError: If the data set cannot be read, or no row of it can be used.
    """
    data = read_data(source, out)
    if not data.gallery or not data.train:
        first = f"; the first: {data.bad_rows[0]}" if data.bad_rows else ""
        raise ValueError(f"no usable row in {source.data}, {len(data.bad_rows)} bad ones{first}")
    for name in TABLES:
        write_table(out / f"{name}.parquet", getattr(data, name))
    _write_bad_rows(out / BAD_ROWS, data.bad_rows)
    summary = Summary(
        source={name: value for name, value in asdict(source).items() if name != "data_dir"},
        train_count=len(data.train),
        query_count=len(data.queries),
        gallery_count=len(data.gallery),
        bad_row_count=len(data.bad_rows),
        first_bad_rows=[str(row) for row in data.bad_rows[:SHOWN_BAD_ROW_COUNT]],
        sha256=_digest_tables(out),
        inputs=_digest_inputs(source),
    )
    text = json.dumps(asdict(summary), indent=2, ensure_ascii=False)
    write_whole(out / SUMMARY, text + "\n")
    return summary


def find_prepared(source: Source, out: Path) -> Summary | None:
    """Returns the summary of an earlier equal call whose tables are still there.

    A data set with bad rows is always read again: its user may have mended them.
    """
    try:
        summary = Summary(**json.loads((out / SUMMARY).read_text(encoding="utf-8")))
        is_same = summary.inputs == _digest_inputs(source) and summary.sha256 == _digest_tables(out)
    except (OSError, ValueError, TypeError):
        return None
    return summary if is_same and summary.bad_row_count == 0 else None


def main(arguments: Sequence[str] | None = None) -> int:
    """Prepares a data set as the command line says; returns the exit status."""
    options = _build_parser().parse_args(arguments)
    source = Source(
        data=options.data,
        data_dir=options.data_dir,
        columns=options.columns,
        product_count=options.product_count,
        offers_per_product=options.offers_per_product,
        seed=options.seed,
    )
    out: Path = options.out or Path(".cache/data") / Path(options.data).stem
    summary = None if options.force else find_prepared(source, out)
    try:
        summary = summary or prepare(source, out)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(_format_summary(summary, out))
    return 0


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training.prepare",
        description="Read a data set into train.parquet, queries.parquet and gallery.parquet.",
        epilog="Columns of one's own table: see training/catalogues/table.py.",
    )
    known = f"generated (default), {', '.join(PUBLISHED)}, or a CSV or Parquet file"
    parser.add_argument("--data", default="generated", help=known)
    parser.add_argument("--data-dir", type=Path, help="folder of the data set")
    parser.add_argument("--columns", default="", help="columns of a table: title=name,images=photo")
    parser.add_argument("--out", type=Path, help="target folder (default: .cache/data/NAME)")
    parser.add_argument(
        "--product-count", type=int, default=300, help="generated products (default: 300)"
    )
    parser.add_argument(
        "--offers-per-product", type=int, default=8, help="rows of each of them (default: 8)"
    )
    parser.add_argument("--seed", type=int, default=42, help="seed (default: 42)")
    parser.add_argument("--force", action="store_true", help="read again what did not change")
    return parser


def _require_folder(source: Source) -> Path:
    if source.data_dir is None:
        raise ValueError(f"--data {source.data} needs --data-dir, the folder of the data set")
    if not source.data_dir.is_dir():
        raise ValueError(f"--data-dir {source.data_dir} is not a folder")
    return source.data_dir


def _digest_inputs(source: Source) -> str:
    """Names what the tables depend on: the options, the code that reads, and the lists it reads."""
    digest = hashlib.sha256(repr(source).encode())
    package = Path(__file__).parent
    codes = (package.glob(pattern) for pattern in ("catalogues/*.py", "preprocessing/*.py", "*.py"))
    for path in sorted(path for found in codes for path in found):
        if path.parent != package or path.stem in ("prepare", "product", "query_product"):
            digest.update(path.read_bytes())
    lists = [Path(source.data)] if Path(source.data).is_file() else []
    if source.data_dir is not None and source.data != "generated":
        lists += sorted(
            path
            for ending in ("csv", "txt", "parquet")
            for path in source.data_dir.glob(f"*.{ending}")
        )
    for path in lists:
        state = path.stat()
        digest.update(f"{path.absolute()} {state.st_size} {state.st_mtime_ns}".encode())
    return digest.hexdigest()


def _digest_tables(out: Path) -> str:
    digest = hashlib.sha256()
    for name in TABLES:
        digest.update((out / f"{name}.parquet").read_bytes())
    return digest.hexdigest()


def _write_bad_rows(path: Path, bad_rows: Sequence[BadRow]) -> None:
    with written_whole(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("source", "row_number", "reason"))
        writer.writerows((row.source, row.row_number, row.reason) for row in bad_rows)


def _format_summary(summary: Summary, out: Path) -> str:
    lines = [
        f"{summary.gallery_count} catalogue products, {summary.train_count} rows to train on, "
        f"{summary.query_count} held-out offers, {summary.bad_row_count} bad rows in {out}"
    ]
    if not summary.query_count:
        lines.append("no row shares its group with another: nothing can be matched or evaluated")
    lines += [f"  bad: {row}" for row in summary.first_bad_rows]
    if summary.bad_row_count > len(summary.first_bad_rows):
        lines.append(f"  all of them in {out / BAD_ROWS}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
