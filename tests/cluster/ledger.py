"""What was written while parts were killed, and what must therefore be found afterwards."""

from __future__ import annotations

import threading
from collections.abc import Mapping


class Ledger:
    """Titles by product; None stands for no product. Safe to share between threads.

    What was acknowledged must be there. What was tried and not acknowledged may be there, or what
    stood there before.
    """

    def __init__(self, titles: Mapping[str, str]) -> None:
        """Takes what stands there before."""
        self._lock = threading.Lock()
        self._given = frozenset(titles)
        self._allowed: dict[str, set[str | None]] = {
            product_id: {title} for product_id, title in titles.items()
        }
        self._acknowledged_count = 0

    @property
    def acknowledged_count(self) -> int:
        """Writes and deletions that were acknowledged."""
        return self._acknowledged_count

    @property
    def product_count(self) -> int:
        """Products that stood there, or were ever tried."""
        return len(self._allowed)

    @property
    def written(self) -> dict[str, str]:
        """Titles of the products that were written under load and must be there."""
        with self._lock:
            known = ((each, titles) for each, titles in self._allowed.items() if len(titles) == 1)
            return {
                product_id: title
                for product_id, (title,) in known
                if title is not None and product_id not in self._given
            }

    def attempt(self, product_id: str, title: str | None) -> None:
        """Notes a write or a deletion that is about to be made."""
        with self._lock:
            self._allowed.setdefault(product_id, {None}).add(title)

    def acknowledge(self, product_id: str, title: str | None) -> None:
        """Notes that it was acknowledged."""
        with self._lock:
            self._allowed[product_id] = {title}
            self._acknowledged_count += 1

    def losses(self, stored: Mapping[str, str]) -> list[str]:
        """Returns a sentence for each product that is not as it must be.

        Args:
            stored: Titles of all products that were found.
        """
        with self._lock:
            said = [
                f"{product_id}: found {stored.get(product_id)!r}, expected one of {titles}"
                for product_id, titles in self._allowed.items()
                if stored.get(product_id) not in titles
            ]
            said += [f"{each}: nobody wrote it" for each in stored.keys() - self._allowed.keys()]
        return said
