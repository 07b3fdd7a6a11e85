"""Workers of Ray: the same rows as one process makes, each once, whoever is killed meanwhile."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.server.bulk.bulk_files import BulkFiles, write_products
from twinshelf.client.commands.row_progress import RowProgress
from twinshelf.server.bulk import workers
from twinshelf.server.bulk.embedding_worker import PublishedEncoder
from twinshelf.server.bulk.product_batch import BatchRow, ProductBatch
from twinshelf.server.bulk.workers import WorkerConfig, WorkerDiedError, start_workers

pytestmark = [pytest.mark.bulk, pytest.mark.slow]
MANY_ROWS = 1500
WAIT_S = 120


@pytest.fixture
def many(bulk: BulkFiles) -> BulkFiles:
    """A file that takes a while."""
    write_products(bulk.folder / "products.csv", row_count=MANY_ROWS)
    return bulk


def worker_processes() -> list[psutil.Process]:
    """Returns the workers that this process, or one of its children, has started."""
    children = psutil.Process().children(recursive=True)
    return [each for each in children if "EmbeddingWorker" in each.name()]


def test_workers_of_ray_make_what_one_process_makes(many: BulkFiles) -> None:
    many.embed()
    expected = many.table()
    shutil.rmtree(many.out)
    many.embed(worker_count=2)
    assert many.table().equals(expected)


def test_a_killed_worker_loses_no_row_and_makes_none_twice(
    many: BulkFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[int] = []

    def advance(_: object) -> None:
        """Kills a worker once rows have come."""
        if not killed:
            victim = worker_processes()[0]
            victim.kill()
            killed.append(victim.pid)

    monkeypatch.setattr(RowProgress, "advance", advance)
    many.embed(worker_count=2)
    assert killed
    assert many.table()["row_number"].to_pylist() == list(range(1, MANY_ROWS + 1))


def test_a_killed_driver_leaves_no_worker_and_is_gone_on_from(many: BulkFiles) -> None:
    code = (
        "import sys; from twinshelf.client.cli import main; "
        "from twinshelf.server.bulk import embedding_run, product_batch; "
        "product_batch.PART_ROWS = 40; "
        "main(sys.argv[1:])"
    )
    driver = subprocess.Popen(
        [
            *(sys.executable, "-c", code, "embed", str(many.folder / "products.csv")),
            *("--out", str(many.out), "--model-repository", str(many.repository)),
            *("--version", "1", "--workers", "2"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for(many.output / "part-00002.parquet")
    left = worker_processes()
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    _, alive = psutil.wait_procs(left, timeout=WAIT_S)
    assert left and not alive
    done = len(list(many.output.glob("*.parquet")))
    assert 3 <= done < MANY_ROWS / 40
    report = many.embed(worker_count=2)
    assert report.replaced_count >= 3 * 40 - 5
    assert many.table()["row_number"].to_pylist() == list(range(1, MANY_ROWS + 1))


def test_rows_that_kill_every_worker_end_the_run_and_are_named(
    many: BulkFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "EmbeddingWorker", DyingWorker)
    with pytest.raises(WorkerDiedError, match="over the rows 1 to 32 of input 1"):
        many.embed(worker_count=2)


class DyingWorker:
    """Dies of whatever it is given."""

    def __init__(self, encoder: PublishedEncoder, thread_count: int) -> None:
        del encoder, thread_count

    def embed(self, batch: object) -> None:
        """Ends the process without a word."""
        del batch
        os._exit(1)


def test_a_worker_with_other_files_is_refused(repository: Path) -> None:
    encoder = PublishedEncoder(repository=repository, version=1, digest="sha256:" + "0" * 64)
    with (
        pytest.raises(WorkerDiedError, match="must be sha256:0000"),
        start_workers(encoder, WorkerConfig(count=2)),
    ):
        pass


def test_a_cluster_that_has_no_core_yet_is_asked_for_some(
    many: BulkFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ray.cluster_resources", dict)
    many.embed(worker_count=2)
    assert many.table().num_rows == MANY_ROWS


def test_whatever_ray_loses_a_batch_by_ends_the_run_with_its_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import ray

    def lose(_: object) -> None:
        raise ray.exceptions.OutOfMemoryError("no memory is left")

    monkeypatch.setattr("ray.get", lose)
    rows = (BatchRow(row_number=7, product=b""), BatchRow(row_number=8, product=b""))
    batch = ProductBatch(input_place=0, part_number=0, rows=rows)
    with pytest.raises(WorkerDiedError, match="over the rows 7 to 8 of input 1: no memory"):
        workers._result_of(None, batch)


def wait_for(path: Path) -> None:
    """Waits until a file is there."""
    until_s = time.monotonic() + WAIT_S
    while not path.exists():
        assert time.monotonic() < until_s, f"{path} did not come"
        time.sleep(0.05)
