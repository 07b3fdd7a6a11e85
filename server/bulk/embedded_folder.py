"""The folder that embedding writes: an output for each input, and the contract of their encoder.

FOLDER/encoder.json                    the contract, as `export` stamped it
FOLDER/INPUT/part-00000.parquet        the rows of one input, PART_ROWS of them in each part
FOLDER/INPUT/whole.json                written last: what the parts hold, once all are there
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from twinshelf.server.encoders.contract import EncoderContract

_CONTRACT, _WHOLE, _LOCK = "encoder.json", "whole.json", "lock"
_RUN_KEY: Final = b"twinshelf_run"
# Those of a file are 255 at most; what stands for the place of the input takes 9.
_NAME_BYTES: Final = 240


class EmbeddedFolderError(ValueError):
    """A folder that cannot be written, or holds no whole embeddings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeOutput:
    """What an output holds.

    Attributes:
        run: Names the input, how it was read, and the encoder.
        encoder_digest: Digest of the encoder.
        part_count: Parts.
        row_count: Rows; `embedded_count` of them are embedded, the others failed.
        embedded_count: Products that are embedded.
    """

    run: str
    encoder_digest: str
    part_count: int
    row_count: int
    embedded_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RowTrouble:
    """A row that failed, or lacks a photo.

    Attributes:
        row_number: From 1, the header of the input not counted.
        product_id: Empty when the row could not be read.
        error: Why it failed; None when it did not.
        photo_error: Why one of its photos was left out; None when none was.
    """

    row_number: int
    product_id: str
    error: str | None
    photo_error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedOutput:
    """The output of one input.

    Attributes:
        folder: Where its parts lie.
        run: Names the input, how it is read, and the encoder; parts of others count as missing.
    """

    folder: Path
    run: str

    @property
    def whole(self) -> WholeOutput | None:
        """What it holds; None while parts are missing or are of another run."""
        found = read_whole(self.folder)
        return found if found is not None and found.run == self.run else None

    def whole_parts(self) -> frozenset[int]:
        """Returns the numbers of the parts that are there."""
        return frozenset(
            number for number, path in enumerate_parts(self.folder) if _run_of(path) == self.run
        )

    def count_rows(self, numbers: Iterable[int]) -> int:
        """Counts the rows of some parts that are there."""
        return sum(pq.read_metadata(part_path(self.folder, each)).num_rows for each in numbers)

    def count_embedded(self, numbers: Iterable[int]) -> int:
        """Counts the products that are embedded in some parts that are there."""
        tables = (
            pq.read_table(part_path(self.folder, each), columns=["error"]) for each in numbers
        )
        return sum(table["error"].null_count for table in tables)

    def troubles(self) -> Iterator[RowTrouble]:
        """Yields the rows that failed, or lack a photo."""
        for _, path in enumerate_parts(self.folder):
            table = pq.read_table(path, columns=[each.name for each in fields(RowTrouble)])
            is_trouble = pc.or_(table["error"].is_valid(), table["photo_error"].is_valid())
            for values in table.filter(is_trouble).to_pylist():
                yield RowTrouble(**values)

    def write_part(self, number: int, tables: Sequence[pa.Table]) -> None:
        """Writes a part, all of it or nothing."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / _WHOLE).unlink(missing_ok=True)
        table = pa.concat_tables(tables)
        table = table.replace_schema_metadata({_RUN_KEY: self.run.encode()})
        path = part_path(self.folder, number)
        with _moved_when_written(path) as partial:
            pq.write_table(
                table, partial, compression="zstd", use_dictionary=["category", "encoder_digest"]
            )

    def finish(self, part_count: int, contract: EncoderContract) -> WholeOutput:
        """Notes that all parts are there, and removes those of a longer input before it.

        Returns:
            What the parts hold.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for number, path in enumerate_parts(self.folder):
            if number >= part_count:
                path.unlink()
        whole = WholeOutput(
            run=self.run,
            encoder_digest=contract.digest,
            part_count=part_count,
            row_count=self.count_rows(range(part_count)),
            embedded_count=self.count_embedded(range(part_count)),
        )
        with _moved_when_written(self.folder / _WHOLE) as partial:
            partial.write_text(json.dumps(asdict(whole), indent=2) + "\n", "utf-8")
        return whole


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps other runs from writing into a folder, which is made.

    Raises:
        EmbeddedFolderError: If one does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise EmbeddedFolderError(f"another run is writing {folder}") from None
        yield


def output_name(given: Path) -> str:
    """Names an output after its input and where that lies, so that each run calls it the same."""
    path = os.path.abspath(given)  # "." has a name too
    name = os.fsencode(os.path.basename(path)).decode(errors="replace")  # Parquet's writer asks so
    name = name.encode()[:_NAME_BYTES].decode(errors="ignore")
    return f"{name}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:8]}"


def write_contract(folder: Path, document: str) -> None:
    """Writes the contract of the encoder whose embeddings the folder holds."""
    with _moved_when_written(folder / _CONTRACT) as partial:
        partial.write_text(document, "utf-8")


def read_contract(folder: Path) -> EncoderContract:
    """Reads the contract of the encoder whose embeddings a folder holds.

    Raises:
        EmbeddedFolderError: If there is none.
        EncoderContractError: If it cannot be read.
    """
    try:
        document = (folder / _CONTRACT).read_text("utf-8")
    except OSError as error:
        raise EmbeddedFolderError(
            f"{folder} is no folder that `twinshelf embed` wrote: {error}"
        ) from None
    return EncoderContract.from_json(document)


def read_outputs(folder: Path, contract: EncoderContract) -> Mapping[Path, WholeOutput]:
    """Returns every output of a folder, and what it holds.

    Raises:
        EmbeddedFolderError: If there is none, one is not whole, or one is of another encoder.
    """
    found: dict[Path, WholeOutput] = {}
    for path in sorted(each for each in folder.iterdir() if each.is_dir()):
        whole = read_whole(path)
        if whole is None:
            raise EmbeddedFolderError(f"{path} is not whole; run `twinshelf embed` again")
        if whole.encoder_digest != contract.digest:
            raise EmbeddedFolderError(
                f"{path} was embedded by {whole.encoder_digest}, but {folder} holds "
                f"{contract.digest}; run `twinshelf embed` again"
            )
        found[path] = whole
    if not found:
        raise EmbeddedFolderError(f"{folder} holds no embeddings")
    return found


def read_whole(output: Path) -> WholeOutput | None:
    """Returns what an output holds; None while it is not whole."""
    try:
        values = json.loads((output / _WHOLE).read_text("utf-8"))
        found = WholeOutput(**values)
    except (OSError, ValueError, TypeError):
        return None
    numbers = [number for number, _ in enumerate_parts(output)]
    return found if numbers == list(range(found.part_count)) else None


def part_path(output: Path, number: int) -> Path:
    """Returns where a part of an output lies."""
    return output / f"part-{number:05}.parquet"


def enumerate_parts(output: Path) -> list[tuple[int, Path]]:
    """Returns the parts of an output that are there, and their numbers, rising."""
    found = ((path.stem.removeprefix("part-"), path) for path in output.glob("part-*.parquet"))
    return sorted((int(number), path) for number, path in found if number.isdecimal())


def _run_of(part: Path) -> str:
    """Returns what a part was made from; empty where that cannot be read."""
    try:
        metadata = pq.read_schema(part).metadata or {}
    except (OSError, pa.ArrowException):
        return ""
    return str(metadata.get(_RUN_KEY, b"").decode())


@contextmanager
def _moved_when_written(path: Path) -> Iterator[Path]:
    """Gives a path to write to; at the end, what lies there is on the disk and in place."""
    partial = path.with_name(f"{path.name}.partial")
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
