"""Kills parts of a whole deployment under load: is a write lost, an answer wrong, for how long?

python -m tests.cluster
python -m tests.cluster --products 2000 --etcd /usr/bin/etcd

Needs the packages of tests/cluster/requirements.in, and etcd for the cluster; without it, one
Milvus in one process takes its place.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np

from tests.cluster import findings, known_catalogue
from tests.cluster.deployed import Deployed, Engine
from tests.cluster.findings import Phase
from tests.cluster.ledger import Ledger
from tests.cluster.milvus_cluster import MilvusCluster
from tests.cluster.single_milvus import SingleMilvus
from tests.cluster.traffic import Traffic
from tests.model_repository.tiny_repository import publish_tiny_version
from tests.soak import report
from twinshelf.client.records import MatchOptions, Offer
from twinshelf.client.sync_client import Client

_QUERY_COUNT: Final = 50
_WRITTEN_TITLE_COUNT: Final = 500
# What one server wrote the other one sees within 5 s.
_FRESH_AFTER_S: Final = 6.0
# A title was given to several products.
_SOUGHT_COUNT, _SOUGHT_DEPTH = 200, 50


def main(arguments: Sequence[str] | None = None) -> int:
    """Makes the faults; returns 0 when every promise was kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    parser.add_argument("--products", type=int, default=50_000, help="products of the catalogue")
    parser.add_argument("--etcd", type=Path, help="the program [the one on PATH]")
    parser.add_argument(
        "--repository", type=Path, help="model repository [a tiny encoder, made for this]"
    )
    parser.add_argument("--seconds", type=float, default=90.0, help="time that each fault is given")
    parser.add_argument("--seed", type=int, default=0, help="of products and titles")
    parser.add_argument("--folder", type=Path, help="for data and logs [a temporary one]")
    options = parser.parse_args(sys.argv[1:] if arguments is None else arguments)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    with contextlib.ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        repository = options.repository or publish_tiny_version(folder / "models").repository
        engine = _engine(folder / "milvus", options.etcd)
        deployed = stack.enter_context(Deployed(folder, engine=engine, repository=repository))
        return _run(deployed, options.products, options.seconds, options.seed)


def _engine(folder: Path, etcd: Path | None) -> Engine:
    folder.mkdir(parents=True)
    program = etcd or shutil.which("etcd")
    if program is None:
        report.say("etcd is not installed, so one Milvus in one process takes the cluster's place.")
        return SingleMilvus(folder)
    return MilvusCluster(folder, etcd=Path(program))


def _run(deployed: Deployed, product_count: int, seconds: float, seed: int) -> int:
    asked = known_catalogue.draw_titles(_QUERY_COUNT + _WRITTEN_TITLE_COUNT, seed)
    contract, rows = asyncio.run(known_catalogue.embed_titles(deployed.triton_address, asked))
    known = known_catalogue.make_catalogue(
        contract,
        product_count,
        dict(zip(asked[:_QUERY_COUNT], rows, strict=False)),
        rows[_QUERY_COUNT:],
        np.random.default_rng(seed),
    )
    begun_s = time.monotonic()
    asyncio.run(deployed.fill(known, contract))
    took_s = time.monotonic() - begun_s
    report.say(f"{product_count:,} products in {took_s:.0f} s, {len(known.answers)} queries")
    deployed.start_services()
    ledger = Ledger(known.titles)
    with Traffic(deployed.address, known, ledger, asked[_QUERY_COUNT:]) as traffic:
        phases = list(_phases(deployed, traffic.failures, seconds))
    report.say(findings.as_table(traffic.calls, phases))
    time.sleep(_FRESH_AFTER_S)
    losses = [loss for each in deployed.addresses for loss in _losses(each, ledger)]
    report.say(
        f"{ledger.acknowledged_count:,} writes were acknowledged beside them. Of "
        f"{ledger.product_count:,} products {len(losses)} are not as they must be, read at both "
        f"servers. {sum(call.kind == 'match' for call in traffic.calls):,} answers equal the exact "
        f"ones, {len(traffic.wrong)} do not."
    )
    broken = findings.broken_promises(
        traffic.calls, phases, wrong=traffic.wrong, given_up=traffic.given_up, losses=losses
    )
    report.say("\n".join(broken) or "every promise was kept")
    return 1 if broken else 0


def _losses(address: str, ledger: Ledger) -> list[str]:
    """Lists all products of a server, and looks for some that were written by their titles."""
    with Client(address) as client:
        stored = {product.product_id: product.title for product in client.list_all()}
        losses = ledger.losses(stored)
        for product_id, title in islice(ledger.written.items(), _SOUGHT_COUNT):
            found = client.match(Offer(title=title), MatchOptions(match_count=_SOUGHT_DEPTH))
            if product_id not in {match.product.product_id for match in found.matches}:
                losses.append(f"{product_id}: its own title {title!r} does not find it")
    return losses


def _phases(deployed: Deployed, failures: Counter[str], seconds: float) -> Iterator[Phase]:
    """Lets callers have a while of peace, then kills one part after the other."""
    for name, fault in {"nothing": None, **deployed.faults}.items():
        before, begun_s = failures.copy(), time.monotonic()
        if fault is not None:
            fault()
        time.sleep(max(0.0, begun_s + seconds - time.monotonic()))
        yield Phase(
            name=name, begun_s=begun_s, ended_s=time.monotonic(), failures=failures - before
        )


if __name__ == "__main__":
    sys.exit(main())
