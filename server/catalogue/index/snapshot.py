"""Snapshots of the index beside SQLite: files that are mapped at the next start.

A folder for each encoder holds three files a pattern - vectors, columns, graph - and a manifest
that names them with sizes and checksums. Each snapshot writes new files; replacing the manifest, an
atomic write, makes them valid. What the manifest does not vouch for is never mapped.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
import threading
import zlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from twinshelf.server.catalogue.disk_room import FULL_DISK_BYTES, has_room
from twinshelf.server.catalogue.index.graph import DTYPE, IndexConfig, MappedGraph, Rows
from twinshelf.server.catalogue.index.graph_build import GraphPlan, build_graph
from twinshelf.server.catalogue.index.segment import Part, Segment
from twinshelf.server.catalogue.index.snapshot_file import (
    FileEntry,
    SnapshotError,
    map_vectors,
    sync_folder,
    write_synced,
)
from twinshelf.server.catalogue.product_record import VectorTable
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.modalities import Pattern

logger = logging.getLogger(__name__)
MANIFEST = "manifest.json"
FORMAT = 1
_DIGEST_LENGTH = 16
_BLOCK_ROWS = 4096
# Of a vector: its number, version and checksum; and of one of its links in the graph.
_COLUMN_BYTES, _LINK_BYTES = 24, 4
# Snapshots of so many encoders are kept: the last one too, to go back to it at once.
_KEPT_FOLDERS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentEntry:
    """A segment as the manifest vouches for it.

    Attributes:
        count: Vectors.
        last_change: The last change of the catalogue that the segment knows of.
        vectors: File of the vectors, fp16.
        columns: File of product numbers, versions and checksums, int64.
        graph: File of the graph; None where there are too few vectors for one.
    """

    count: int
    last_change: int
    vectors: FileEntry
    columns: FileEntry
    graph: FileEntry | None

    @property
    def files(self) -> list[FileEntry]:
        """All files of the segment."""
        return [file for file in (self.vectors, self.columns, self.graph) if file is not None]


def snapshot_folder(parent: Path, digest: str) -> Path:
    """Returns the folder for the snapshot of the vectors of an encoder."""
    return parent / f"index-{digest.partition(':')[2][:_DIGEST_LENGTH]}"


def remove_snapshot(parent: Path, digest: str) -> None:
    """Removes the snapshot of the vectors of an encoder, if there is one."""
    shutil.rmtree(snapshot_folder(parent, digest), ignore_errors=True)


class SnapshotFolder:
    """The snapshot of the vectors of one encoder. One thread writes; opened once.

    Attributes:
        is_committed: Whether the manifest names what was written.
        is_closed: Whether nothing is written any more, as its index is no longer searched.
        writing: Held by who writes or removes it.
    """

    def __init__(
        self,
        parent: Path,
        *,
        catalogue_id: str,
        contract: EncoderContract,
        config: IndexConfig,
    ) -> None:
        """Takes the place of the folder; writing makes it.

        Args:
            parent: Folder of the catalogue.
            catalogue_id: Identity of the SQLite file that the vectors come from.
            contract: That of the encoder.
            config: Those of the index.
        """
        self.path = snapshot_folder(parent, contract.digest)
        self._dimension = contract.dimension
        self._config = config
        self._facts: dict[str, Any] = {
            "format": FORMAT,
            "catalogue_id": catalogue_id,
            "digest": contract.digest,
            "dimension": contract.dimension,
            "dtype": DTYPE,
            "connectivity": config.connectivity,
            "expansion_add": config.expansion_add,
        }
        self._entries: dict[Pattern, SegmentEntry] = {}
        self._stopped = threading.Event()
        self.is_committed = True
        self.is_closed = False
        self.writing = threading.Lock()

    @property
    def last_change(self) -> int:
        """The last change that any segment of the manifest knows of."""
        return max((entry.last_change for entry in self._entries.values()), default=0)

    def read_manifest(self) -> None:
        """Reads which segments there are.

        Raises:
            SnapshotError: If the manifest is missing, torn, or of another catalogue or encoder.
        """
        path = self.path / MANIFEST
        try:
            values = json.loads(path.read_text("utf-8"))
            if zlib.crc32(_canonical(values["body"])) != values["checksum"]:
                raise ValueError("its checksum differs")
            body = values["body"]
            found = {name: body[name] for name in self._facts}
            entries = {
                Pattern[name.upper()]: _entry(entry) for name, entry in body["segments"].items()
            }
        except FileNotFoundError:
            raise SnapshotError(f"there is no {path}") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SnapshotError(f"{path} is torn: {error}") from None
        for name, expected in self._facts.items():
            if found[name] != expected:
                raise SnapshotError(
                    f"{path} is foreign: {name} must be {expected}, got {found[name]}"
                )
        self._entries = entries

    def open_segment(self, pattern: Pattern) -> Segment | None:
        """Maps the segment of a pattern; None when the snapshot has none.

        Raises:
            SnapshotError: If a file is missing or torn.
        """
        entry = self._entries.get(pattern)
        if entry is None:
            return None
        for file in entry.files:
            file.check(self.path)
        return self._map_segment(entry)

    def write_segment(
        self, pattern: Pattern, pieces: Sequence[tuple[Part, Rows]], last_change: int
    ) -> Segment | None:
        """Writes the chosen rows of parts as one segment, and maps it; None when there are none.

        Args:
            pattern: Pattern of the vectors.
            pieces: Parts and the rows (N,) that are taken of each.
            last_change: The last change that the parts know of.

        Raises:
            BuildStoppedError: If it was stopped; what the manifest names stays as it was.
        """
        stem = f"{pattern.key}-{last_change}-{os.urandom(4).hex()}"
        vectors, columns, graph = (
            self.path / f"{stem}.{kind}" for kind in ("vectors", "columns", "graph")
        )
        count = sum(len(rows) for _, rows in pieces)
        self.is_committed = False
        if count == 0:
            self._entries.pop(pattern, None)
            return None
        self.path.mkdir(exist_ok=True)
        self._check_room(count)
        try:
            write_synced(vectors, _vector_blocks(pieces))
            write_synced(columns, [_columns(pieces).tobytes()])
            if count > self._config.exact_limit:
                self._write_graph(graph, vectors, pieces)
            entry = SegmentEntry(
                count=count,
                last_change=last_change,
                vectors=FileEntry.of(vectors),
                columns=FileEntry.of(columns),
                graph=FileEntry.of(graph) if graph.exists() else None,
            )
            segment = self._map_segment(entry)
        except BaseException:  # it is tried again under another name: a full disk stays full
            for path in (vectors, columns, graph):
                path.unlink(missing_ok=True)
            raise
        self._entries[pattern] = entry
        return segment

    def stop(self) -> None:
        """Ends the build of a large graph, now and from now on. Any thread's."""
        self._stopped.set()

    def close(self) -> None:
        """Ends what is being written, and lets nothing be written any more. Any thread's."""
        self.is_closed = True
        self.stop()

    def remove(self) -> None:
        """Removes it for good, once nothing is written to it any more. Any thread's."""
        self.close()
        with self.writing:
            shutil.rmtree(self.path, ignore_errors=True)

    def commit(self) -> None:
        """Makes the segments that were written the valid ones, and removes all other files.

        Maps of removed files stay whole until they are let go.
        """
        body = self._facts | {
            "segments": {pattern.key: asdict(entry) for pattern, entry in self._entries.items()}
        }
        text = json.dumps({"body": body, "checksum": zlib.crc32(_canonical(body))})
        self.path.mkdir(exist_ok=True)  # where all that was written has been removed again
        path, temporary = self.path / MANIFEST, self.path / f"{MANIFEST}.tmp"
        write_synced(temporary, [text.encode()])
        os.replace(temporary, path)
        sync_folder(self.path)
        self.is_committed = True
        valid = {file.name for entry in self._entries.values() for file in entry.files}
        for other in self.path.iterdir():
            if other.name not in valid | {MANIFEST}:
                other.unlink(missing_ok=True)
        self._remove_old_folders()

    def _remove_old_folders(self) -> None:
        """Removes the snapshots of encoders that have not been served for long."""
        others = [path for path in self.path.parent.glob("index-*") if path != self.path]
        with suppress(FileNotFoundError):  # an encoder is dropped meanwhile
            others.sort(key=lambda path: path.stat().st_mtime)
            for path in others[: 1 - _KEPT_FOLDERS]:
                shutil.rmtree(path)
                logger.info("removed %s, the snapshot of an encoder of old", path)

    def _check_room(self, count: int) -> None:
        """Begins nothing that has no room: a graph would be built for long before that shows.

        Raises:
            OSError: If the disk cannot take so many vectors.
        """
        size_bytes = 2 * self._dimension + _COLUMN_BYTES
        if count > self._config.exact_limit:  # the graph holds the vectors again, and links
            size_bytes += 2 * self._dimension + 2 * self._config.connectivity * _LINK_BYTES
        if shutil.disk_usage(self.path).free < count * size_bytes + FULL_DISK_BYTES:
            raise _full_error(self.path)

    def _write_graph(self, path: Path, vectors: Path, pieces: Sequence[tuple[Part, Rows]]) -> None:
        first, rows = pieces[0]
        base = first.graph if isinstance(first, Segment) else None
        # Rows that have moved no longer fit the keys of the old graph.
        if base is not None and (len(rows) < len(first.table) or not base.path.exists()):
            base = None
        plan = GraphPlan(
            vectors=vectors,
            dimension=self._dimension,
            target=path,
            base=None if base is None else base.path,
            base_count=0 if base is None else len(rows),
            config=self._config,
        )
        try:
            build_graph(plan, self._stopped)
        except RuntimeError as error:  # usearch does not say why it cannot write
            if has_room(self.path):
                raise
            raise _full_error(path) from error

    def _map_segment(self, entry: SegmentEntry) -> Segment:
        columns = np.fromfile(self.path / entry.columns.name, dtype=np.int64)
        numbers, versions, checksums = columns.reshape(3, entry.count)
        table = VectorTable(
            product_numbers=numbers,
            vector_versions=versions,
            checksums=checksums,
            vectors=map_vectors(self.path / entry.vectors.name, self._dimension),
        )
        graph = None
        if entry.graph is not None:
            graph = MappedGraph(self.path / entry.graph.name, self._dimension, self._config)
        return Segment(table, graph, self._config, is_stored=True)


def _full_error(path: Path) -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def _vector_blocks(pieces: Sequence[tuple[Part, Rows]]) -> Iterable[bytes]:
    for part, rows in pieces:
        vectors = part.table.vectors
        for start in range(0, len(rows), _BLOCK_ROWS):
            yield vectors[rows[start : start + _BLOCK_ROWS]].tobytes()


def _columns(pieces: Sequence[tuple[Part, Rows]]) -> np.ndarray:
    """Product numbers, versions and checksums (3, N) of the chosen rows."""
    return np.concatenate(
        [
            np.stack([table.product_numbers, table.vector_versions, table.checksums])[:, rows]
            for table, rows in ((part.table, rows) for part, rows in pieces)
        ],
        axis=1,
    )


def _canonical(body: dict[str, Any]) -> bytes:
    return json.dumps(body, sort_keys=True).encode()


def _entry(values: dict[str, Any]) -> SegmentEntry:
    graph = values["graph"]
    return SegmentEntry(
        count=values["count"],
        last_change=values["last_change"],
        vectors=FileEntry(**values["vectors"]),
        columns=FileEntry(**values["columns"]),
        graph=None if graph is None else FileEntry(**graph),
    )
