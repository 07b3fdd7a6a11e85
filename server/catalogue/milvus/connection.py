"""The connection of one matching server to Milvus: calls, their consistency, and time.

How fresh an answer is, is chosen for each call. `Strong` waits for all that anybody has written,
a tick of Milvus' clock (200 ms unless configured), so only a write asks for it. What matches and
reads asks for `Session` soon after a write of this server, which waits for no more than that
write, and else for `Bounded`, which waits for nothing and misses at most the last seconds of other
servers (`common.gracefulTime` of Milvus, 5 s).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, Final, Literal

from twinshelf.server.catalogue.milvus.address import MilvusAddress
from twinshelf.server.catalogue.milvus.import_task import BulkImportError, ImportTask
from twinshelf.server.catalogue.rows.schema import CatalogueFileError
from twinshelf.server.errors import CatalogueUnavailableError

logger = logging.getLogger(__name__)
Row = dict[str, Any]
Level = Literal["Strong", "Session", "Bounded"]
# Milvus refuses to return more rows at once.
MOST_ROWS: Final = 16_384
# Milvus refuses messages of more than 64 MiB (`proxy.grpc.serverMaxRecvSize`).
_MESSAGE_BYTES: Final = 8 << 20
# A whole number of 64 bits may take as many.
_NUMBER_BYTES: Final = 10
# Bits of a timestamp below the milliseconds: a counter.
LOGICAL_BITS: Final = 18
# Longer than the staleness that `Bounded` allows.
_OWN_WRITES_S: Final = 10.0
CALL_TIMEOUT_S: Final = 4.0
SLOW_TIMEOUT_S: Final = 60.0


class MilvusConnection:
    """Calls of Milvus; safe to use from any thread.

    Attributes:
        name: Name of the catalogue.
        version: That of the server, such as (2, 3, 5).
        is_lite: Whether it is milvus-lite.
    """

    def __init__(self, address: MilvusAddress) -> None:
        """Connects.

        Raises:
            CatalogueFileError: If the client is not installed, or Milvus does not answer.
        """
        try:
            import pymilvus
            from pymilvus.grpc_gen import milvus_pb2
        except ImportError:
            raise CatalogueFileError(
                "a catalogue on Milvus needs pymilvus: uv pip install -e '.[milvus]'"
            ) from None
        # It logs every error with a traceback before it raises it.
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
        self.name = address.name
        self.is_lite = address.is_lite
        self._replica_count = address.replica_count
        self._pymilvus = pymilvus
        self._request_timestamp = milvus_pb2.AllocTimestampRequest
        self._last_write_s: dict[str, float] = {}
        self._last_timestamp = 0
        self._lock = threading.Lock()
        # milvus-lite looks at rows in one moment and at deletions in a later one: a search beside a
        # write could find a product neither as it was nor as it is.
        self._turn = threading.Lock() if address.is_lite else nullcontext()
        try:
            self._client = pymilvus.MilvusClient(
                uri=address.uri,
                token=_read_token(address),
                timeout=SLOW_TIMEOUT_S,
                **({"server_pem_path": str(address.ca_file)} if address.ca_file else {}),
            )
            self.version = _version(self._client.get_server_version())
        except Exception as error:  # of many kinds, which only say that it cannot be reached
            raise CatalogueFileError(f"Milvus at {address.uri} cannot be used: {error}") from error

    def close(self) -> None:
        """Closes the connection."""
        self._client.close()

    @property
    def types(self) -> Any:
        """The types of fields that Milvus knows."""
        return self._pymilvus.DataType

    # Collections.

    def has_collection(self, collection: str) -> bool:
        """Tells whether there is a collection."""
        with self._calling():
            return bool(self._client.has_collection(collection, timeout=SLOW_TIMEOUT_S))

    def create(self, collection: str, fields: Sequence[Row], indexes: Sequence[Row]) -> None:
        """Creates a collection and loads it; what is there stays.

        Args:
            collection: Its name.
            fields: What `add_field` of a schema takes, of each field.
            indexes: What `add_index` takes, of each index.

        Raises:
            CatalogueFileError: If it is loaded in another number of copies.
        """
        if not self.has_collection(collection):
            schema = self._client.create_schema(auto_id=False, enable_dynamic_field=False)
            for field in fields:
                schema.add_field(**field)
            with self._calling():
                self._client.create_collection(collection, schema=schema, timeout=SLOW_TIMEOUT_S)
        for index in indexes:
            # One by one: another server may be making them, or have died over them.
            with self._calling():
                if self._client.list_indexes(collection, field_name=index["field_name"]):
                    continue
                params = self._client.prepare_index_params()
                params.add_index(**index)
                self._client.create_index(collection, params, timeout=SLOW_TIMEOUT_S)
        self._check_replicas(collection)
        with self._calling():
            self._client.load_collection(
                collection, timeout=SLOW_TIMEOUT_S, replica_number=self._replica_count
            )

    def _check_replicas(self, collection: str) -> None:
        """Milvus does not change the number of what is loaded, and would only call it invalid."""
        if self.is_lite:
            return
        loaded = self._pymilvus.client.types.LoadState.Loaded
        with self._calling():
            if self._client.get_load_state(collection)["state"] != loaded:
                return
            count = len(self._client.describe_replica(collection, timeout=SLOW_TIMEOUT_S))
        if count != self._replica_count:
            raise CatalogueFileError(
                f"collection {collection!r} is loaded with {count} replicas, and "
                f"{self._replica_count} are asked for: give ?replicas={count}, or release it "
                "in Milvus first"
            )

    def fields(self, collection: str) -> list[Row]:
        """Returns the fields of a collection, each with its name and type."""
        with self._calling():
            return list(self._client.describe_collection(collection, CALL_TIMEOUT_S)["fields"])

    def has_rows(self, collection: str) -> bool:
        """Tells whether rows were ever stored, whatever query nodes show of them."""
        with self._calling():
            stats = self._client.get_collection_stats(collection, timeout=CALL_TIMEOUT_S)
        return int(stats["row_count"]) > 0

    def drop(self, collection: str) -> None:
        """Drops a collection, if there is one."""
        with self._calling():
            self._client.drop_collection(collection, timeout=SLOW_TIMEOUT_S)

    def flush(self, collection: str) -> None:
        """Has Milvus seal what is in memory, so that it gets a graph."""
        with self._calling():
            self._client.flush(collection, timeout=SLOW_TIMEOUT_S)

    # Rows.

    def query(
        self,
        collection: str,
        condition: str,
        fields: Sequence[str],
        *,
        level: Level | None = None,
        limit: int = MOST_ROWS,
    ) -> list[Row]:
        """Returns rows by a condition; with a limit, those of the least keys, by rising key."""
        with self._calling():
            rows = self._client.query(
                collection,
                filter=condition,
                output_fields=list(fields),
                limit=MOST_ROWS if self.is_lite else limit,
                consistency_level=level or self._level(collection),
                timeout=CALL_TIMEOUT_S,
            )
        if self.is_lite:  # which takes any rows up to the limit, in the order of their writing
            rows = sorted(rows, key=lambda row: str(row["key"]))[:limit]
        return [dict(row) for row in rows]

    def count(
        self,
        collection: str,
        condition: str,
        *,
        level: Level | None = None,
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> int:
        """Counts rows by a condition."""
        with self._calling():
            rows = self._client.query(
                collection,
                filter=condition,
                output_fields=["count(*)"],
                consistency_level=level or self._level(collection),
                timeout=timeout_s,
            )
        return int(rows[0]["count(*)"])

    def search(
        self,
        collection: str,
        vectors: Sequence[Sequence[float]],
        condition: str,
        fields: Sequence[str],
        *,
        limit: int,
        params: Row,
        level: Level | None = None,
    ) -> list[list[Row]]:
        """Returns for each vector the rows with the largest inner products.

        Args:
            collection: Where.
            vectors: (N, D).
            condition: What must hold for a row.
            fields: What is returned of each.
            limit: Most rows, up to `MOST_ROWS`.
            params: How much of the index is looked at.
            level: How fresh the answer is; None for what matching asks for.
        """
        with self._calling():
            found = self._client.search(
                collection,
                data=list(vectors),
                filter=condition,
                limit=limit,
                output_fields=list(fields),
                search_params={"metric_type": "IP", "params": params},
                consistency_level=level or self._level(collection),
                timeout=CALL_TIMEOUT_S,
            )
        return [[dict(hit["entity"]) for hit in hits] for hits in found]

    def upsert(
        self, collection: str, rows: Sequence[Row], *, timeout_s: float = CALL_TIMEOUT_S
    ) -> None:
        """Writes whole rows in the place of those of the same keys, in messages that fit.

        Args:
            collection: Where.
            rows: The rows.
            timeout_s: Time for each message.
        """
        for message in messages_of(rows):
            with self._calling():
                self._client.upsert(collection, message, timeout=timeout_s)
            self._last_write_s[collection] = time.monotonic()

    def delete(self, collection: str, keys: Sequence[str]) -> None:
        """Removes rows by their keys."""
        if keys:
            with self._calling():
                self._client.delete(collection, ids=list(keys), timeout=CALL_TIMEOUT_S)
            self._note_deletion(collection)
            self._last_write_s[collection] = time.monotonic()

    def _note_deletion(self, collection: str) -> None:
        """Tells the client when a deletion was made, for `Session` to wait for it.

        The answer to a deletion bears no time where Milvus is old (2.3.5): then `Session` waited
        for the write before it alone, and found what was removed.
        """
        if self.is_lite:
            return
        from pymilvus.client import ts_utils

        (timestamp,) = self.timestamps()
        ts_utils.update_collection_ts(
            collection, timestamp, self._client._get_connection().server_address
        )

    def wait_until_seen(self, collection: str) -> None:
        """Waits until what this server has written is seen by whoever asks with any level."""
        self.query(collection, 'key == ""', ["key"], level="Session", limit=1)

    # Imports.

    def begin_import(self, collection: str, path: str) -> int:
        """Has Milvus import the rows of a file; returns the number of the task.

        Raises:
            BulkImportError: If Milvus refuses it.
        """
        call = self._client._get_connection().do_bulk_insert
        try:
            return int(call(collection, "", [path], timeout=SLOW_TIMEOUT_S))
        except self._pymilvus.MilvusException as error:
            raise BulkImportError(f"Milvus does not import {path}: {error.message}") from error

    def import_task(self, number: int) -> ImportTask:
        """Returns what has become of an import."""
        with self._calling():
            call = self._client._get_connection().get_bulk_insert_state
            return ImportTask.of(call(number, timeout=SLOW_TIMEOUT_S))

    def import_tasks(self, collection: str) -> list[ImportTask]:
        """Returns the imports into a collection that Milvus remembers."""
        with self._calling():
            call = self._client._get_connection().list_bulk_insert_tasks
            return list(map(ImportTask.of, call(0, collection, timeout=SLOW_TIMEOUT_S)))

    # Time.

    def timestamps(self, count: int = 1) -> list[int]:
        """Takes timestamps that no server of this Milvus ever gets again, by rising time.

        They are Milvus' own: milliseconds since 1970, and a counter below.
        """
        if self.is_lite:
            with self._lock:
                start = max(timestamp_of(time.time()), self._last_timestamp + 1)
                self._last_timestamp = start + count - 1
            return list(range(start, start + count))
        with self._calling():
            # Each is a call, but they travel together.
            allocate = self._client._get_connection()._stub.AllocTimestamp.future
            calls = [
                allocate(self._request_timestamp(), timeout=CALL_TIMEOUT_S) for _ in range(count)
            ]
            return sorted(int(call.result().timestamp) for call in calls)

    @contextmanager
    def _calling(self) -> Iterator[None]:
        """Makes a call, beside others if Milvus can do that."""
        with self._turn, _as_ours():
            yield

    def _level(self, collection: str) -> Level:
        age_s = time.monotonic() - self._last_write_s.get(collection, -_OWN_WRITES_S)
        return "Session" if age_s < _OWN_WRITES_S else "Bounded"


def timestamp_of(time_s: float) -> int:
    """Returns the first timestamp of a moment, seconds since 1970."""
    return int(time_s * 1000) << LOGICAL_BITS


def messages_of(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Cuts rows into messages of 8 MiB, or of one row that is larger."""
    message: list[Row] = []
    size_bytes = 0
    for row in rows:
        more_bytes = sum(_size_bytes(value) for value in row.values())
        if message and size_bytes + more_bytes > _MESSAGE_BYTES:
            yield message
            message, size_bytes = [], 0
        message.append(row)
        size_bytes += more_bytes
    if message:
        yield message


def _size_bytes(value: Any) -> int:
    """Returns about how many bytes the value of a field takes."""
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, list) and value and isinstance(value[0], str):
        return sum(len(each.encode()) for each in value)
    if isinstance(value, list):
        return _NUMBER_BYTES * len(value)
    return int(getattr(value, "nbytes", _NUMBER_BYTES))


def _read_token(address: MilvusAddress) -> str:
    """Returns what the server is to be told; empty where nothing."""
    return address.token_file.read_text("utf-8").strip() if address.token_file else ""


def _version(text: str) -> tuple[int, ...]:
    numbers = text.removeprefix("v").partition("-")[0].split(".")
    return tuple(int(number) for number in numbers if number.isdigit())


@contextmanager
def _as_ours() -> Iterator[None]:
    """Turns whatever the client raises into an error that callers may repeat."""
    try:
        yield
    except Exception as error:
        logger.warning("a call of Milvus failed: %s", error)
        raise CatalogueUnavailableError(
            "Milvus, which keeps the catalogue, does not answer; repeat the request"
        ) from error
