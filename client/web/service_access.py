"""How the page speaks to the matching service: with its own key, or with that of each visitor."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Final

from twinshelf.client.async_client import AsyncClient
from twinshelf.client.errors import (
    PermissionDeniedError,
    TwinshelfError,
    UnauthenticatedError,
)
from twinshelf.client.sync_client import Client
from twinshelf.client.web.config import PageConfig

KEYS_KEPT: Final = 256
ASKED_AGAIN_S: Final = 60.0


class ServiceAccess:
    """Clients of the services; made inside the running loop, closed with the page.

    Attributes:
        wants_keys: Whether a service ever asked for a key.
    """

    def __init__(self, config: PageConfig) -> None:
        """Keeps where the service is; nothing is reached before the first call."""
        self._config = config
        self._keys: OrderedDict[str, str] = OrderedDict()
        self._clients: dict[tuple[str, str | None], AsyncClient] = {}
        # When the service is asked again whether it takes a key that it took.
        self._asked_again_s: dict[str | None, float] = {}
        self.wants_keys = False

    def key_of(self, visitor: str) -> str | None:
        """Returns the key that the visitor gave, or that of the page; None shows none."""
        return self._keys.get(visitor, self._config.api_key)

    def client(self, visitor: str, address: str = "") -> AsyncClient:
        """Returns the client with the key of a visitor; it stays open.

        Args:
            visitor: Who asks.
            address: Of the service; empty for that of the page.
        """
        key, address = self.key_of(visitor), address or self._config.address
        if (address, key) not in self._clients:
            self._clients[address, key] = AsyncClient(
                address,
                timeout_s=self._config.timeout_s,
                retry_policy=self._config.retry_policy,
                api_key=key,
                tls=self._config.tls,
            )
        return self._clients[address, key]

    def waiting_client(self, visitor: str, address: str = "") -> Client:
        """Makes a client for work that waits in a thread; the caller closes it.

        Args:
            visitor: Who asks.
            address: Of the service; empty for that of the page.
        """
        return Client(
            address or self._config.address,
            timeout_s=self._config.timeout_s,
            retry_policy=self._config.retry_policy,
            api_key=self.key_of(visitor),
            tls=self._config.tls,
        )

    async def admit(self, visitor: str) -> None:
        """Asks the service whether a visitor may see what the page keeps itself.

        A service that is away stops nobody whose key it took before, and nobody at all as long as
        no key was ever asked for.

        Args:
            visitor: Who asks.

        Raises:
            TwinshelfError: If it refuses the visitor, or cannot be asked.
        """
        key = self.key_of(visitor)
        if time.monotonic() < self._asked_again_s.get(key, 0.0):
            return
        try:
            await self.client(visitor).stats()
        except (UnauthenticatedError, PermissionDeniedError):
            self._asked_again_s.pop(key, None)
            raise
        except TwinshelfError:
            if key not in self._asked_again_s:
                if self.wants_keys:
                    raise
                return
        self._asked_again_s[key] = time.monotonic() + ASKED_AGAIN_S

    async def keep_key(self, visitor: str, key: str) -> None:
        """Keeps the key of a visitor in memory, and that of the last visitors only.

        Args:
            visitor: Who gave it.
            key: The key.

        Raises:
            ValueError: If it cannot be a key.
        """
        earlier = self._keys.pop(visitor, None)
        self._keys[visitor] = key
        try:
            self.client(visitor)
        except ValueError:
            del self._keys[visitor]
            raise
        dropped = [earlier] if earlier else []
        if len(self._keys) > KEYS_KEPT:
            dropped.append(self._keys.popitem(last=False)[1])
        for each in dropped:
            if each not in self._keys.values():
                self._asked_again_s.pop(each, None)
                for place in [place for place in self._clients if place[1] == each]:
                    await self._clients.pop(place).close()

    async def close(self) -> None:
        """Closes all clients."""
        for client in self._clients.values():
            await client.close()
