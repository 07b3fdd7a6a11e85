"""The thread of low priority that groups what was written, beside the writes.

What was written since is noted where the groups are kept (`GroupStore`), so that it catches up
after a crash or a pause. It waits while another encoder's products are in the catalogue: a group
that is half embedded again would fall apart and come together again.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import asdict
from itertools import chain

from twinshelf.server.catalogue.groups.formation import GroupGuards
from twinshelf.server.catalogue.groups.group_store import GroupChange, GroupStore, PendingBatch
from twinshelf.server.catalogue.groups.neighbour_lists import Lists, NeighbourLists
from twinshelf.server.catalogue.groups.regrouping import Regrouping
from twinshelf.server.encoders.contract import EncoderContract

logger = logging.getLogger(__name__)
BATCH_LIMIT = 64
_LOOK_INTERVAL_S = 0.5
_RETRY_INTERVAL_S = 30.0
_NICENESS = 5


class Grouping:
    """Groups what was written, until it is closed."""

    def __init__(
        self,
        *,
        store: GroupStore,
        contract: Callable[[], EncoderContract | None],
        guards: GroupGuards,
    ) -> None:
        """Takes the parts; the thread is started by `start`.

        Args:
            store: Keeps the groups; closed with this.
            contract: Returns that of the encoder whose products can be grouped now, or None.
            guards: What groups must pass.
        """
        self.store = store
        self._contract = contract
        self._guards = guards
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Starts the thread."""
        self._thread = threading.Thread(target=self._run, name="catalogue-grouping", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread and closes the store. A repeat is safe."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()
        self.store.close()

    def group_some(self) -> bool:
        """Groups some of what was written; returns whether there may be more."""
        if not self.store.is_free():
            return False
        with self.store.held():
            contract = self._contract()
            if contract is None:
                return False
            self.store.check_basis(self._basis(contract))
            batch = self.store.pending(contract.digest, BATCH_LIMIT)
            if batch is None:
                return False
            self._group(batch, contract)
            return True

    def _run(self) -> None:
        # So that those who match and write have the cores.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        wait_s = _LOOK_INTERVAL_S
        while not self._closing.wait(wait_s):
            wait_s = _LOOK_INTERVAL_S
            try:
                while self.group_some() and not self._closing.is_set():
                    pass
            except Exception:  # it must outlive whatever goes wrong, a full disk above all
                logger.exception("the grouping of the catalogue failed")
                wait_s = _RETRY_INTERVAL_S

    def _basis(self, contract: EncoderContract) -> str:
        """Returns what ties are made by."""
        curves = {
            pattern.key: asdict(curve) for pattern, curve in sorted(contract.pair_curves.items())
        }
        return json.dumps(
            [
                *(contract.digest, curves, contract.weights.image, self._guards.neighbour_count),
                "first photos, and titles with other amounts are not tied",
            ]
        )

    def _group(self, batch: PendingBatch, contract: EncoderContract) -> None:
        found = self.store.neighbours(batch.products, contract, self._guards.neighbour_count)
        self.store.write(self._find_change(batch, found, contract))

    def _find_change(
        self, batch: PendingBatch, found: dict[int, Lists], contract: EncoderContract
    ) -> GroupChange:
        # One that was written again meanwhile is noted again; a damaged one stays where it is.
        pending = [each for each in batch.products if each.pattern is None or each.product in found]
        lists = NeighbourLists(
            self.store.lists, self.store.titles, contract.pair_curves, self._guards.neighbour_count
        )
        lists.read_titles(
            chain(found, *(near for each in found.values() for near in each.values()))
        )
        before = {each.product: lists.ties(each.product).keys() for each in pending}
        for each in pending:
            lists.replace(each.product, found.get(each.product, {}), forget=each.is_changed)
        after = {each.product: lists.ties(each.product).keys() for each in pending}
        touched = set().union(before, lists.displaced, *before.values(), *after.values())
        lost = set(before) | lists.displaced
        lost.update(*(before[product] - after[product] for product in before))
        gone = frozenset(each.product for each in pending if each.pattern is None)
        regrouping = Regrouping(self.store, lists.ties, self._guards, gone)
        return GroupChange(
            moves=regrouping.moves(regrouping.parts_around(touched, lost), self.store.product_id),
            lists=lists.changed(),
            unsettled=frozenset(lists.short),
            grouped=batch,
        )
