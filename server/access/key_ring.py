"""Recognises callers by their keys, and follows the key file while the service runs."""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from twinshelf.server.access.key_file import ApiKey, read_key_file
from twinshelf.server.access.setup_error import AccessSetupError
from twinshelf.server.errors import UnauthenticatedError

logger = logging.getLogger(__name__)

LOOK_INTERVAL_S: Final = 1.0
_TOKEN: Final = re.compile(r"ts_([a-z0-9]{4,32})_([!-~]{1,256})")
_NO_HASH: Final = bytes(32)

# What changes about a file when somebody writes, replaces, or opens it to others.
_Traits = tuple[int, int, int, int]


class KeyRing:
    """The keys of a file. A change of the file is taken up by the next call a second later."""

    def __init__(
        self,
        path: Path,
        *,
        clock_s: Callable[[], float] = time.monotonic,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        """Reads the file.

        Args:
            path: The key file.
            clock_s: Counts seconds between two looks at the file.
            now_s: Seconds since 1970, for the ends of keys.

        Raises:
            AccessSetupError: If the file cannot be used.
        """
        self._path = path
        self._clock_s = clock_s
        self._now_s = now_s
        self._traits = _traits_of(path)
        self._problem = ""
        self._keys = read_key_file(path)
        self._looked_at_s = clock_s()
        if not self._keys:
            logger.warning("the key file %s has no keys: every call is refused", path)

    def recognise(self, token: str) -> ApiKey:
        """Returns the key of a token.

        Nothing but a right secret learns more than that the key is unknown.

        Args:
            token: `ts_<key_id>_<secret>`.

        Raises:
            UnauthenticatedError: If the key is unknown, has expired or was revoked.
        """
        self._follow_file()
        parts = _TOKEN.fullmatch(token)
        key = self._keys.get(parts[1]) if parts else None
        secret = parts[2] if parts else ""
        # Compared even when there is nothing to compare with, so that all take the same time.
        expected = key.secret_sha256 if key else _NO_HASH
        is_right = hmac.compare_digest(hashlib.sha256(secret.encode()).digest(), expected)
        if key is None or not is_right:
            raise UnauthenticatedError("the API key is unknown")
        return self._check_validity(key)

    def recognise_again(self, key_id: str) -> ApiKey:
        """Returns a key that was recognised before, as it stands now.

        Args:
            key_id: Names the key.

        Raises:
            UnauthenticatedError: If it has since been removed or revoked, or has expired.
        """
        self._follow_file()
        if key_id not in self._keys:
            raise UnauthenticatedError("the API key is unknown")
        return self._check_validity(self._keys[key_id])

    def _check_validity(self, key: ApiKey) -> ApiKey:
        if key.is_revoked:
            raise UnauthenticatedError(f"the API key {key.key_id} was revoked")
        if self._now_s() >= key.expire_time_s:
            raise UnauthenticatedError(f"the API key {key.key_id} has expired")
        return key

    def _follow_file(self) -> None:
        """Reads the file again when it has changed; keeps what it has for as long as that fails."""
        now_s = self._clock_s()
        if now_s - self._looked_at_s < LOOK_INTERVAL_S:
            return
        self._looked_at_s = now_s
        # Taken before the file is read: a change in between is seen at the next look.
        traits = _traits_of(self._path)
        if traits == self._traits:
            self._problem = ""
            return
        try:
            self._keys = read_key_file(self._path)
        except AccessSetupError as error:
            if str(error) != self._problem:  # it is met at every look until it has passed
                self._problem = str(error)
                logger.error("the keys read before stay in use: %s", error)
            return
        self._traits, self._problem = traits, ""
        logger.info("read %d keys from %s", len(self._keys), self._path)


def _traits_of(path: Path) -> _Traits | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns
