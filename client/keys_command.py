"""`twinshelf keys`: makes, lists, replaces and revokes the API keys of a service."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TextIO

from rich.table import Table
from rich.text import Text

from client import output
from client.api_keys import ApiKeyError, NewKey, add_key, find_key, revoke_key, rotate_key, state_of
from client.key_file import changing_keys, read_keys
from protos.twinshelf.v1 import access_pb2

_SCOPE_PREFIX = "ACCESS_SCOPE_"
_STATE_STYLES = {"active": "green", "expired": "yellow", "revoked": "red"}


def run_keys(options: argparse.Namespace, stream: TextIO) -> None:
    """Runs one of the commands of `twinshelf keys`.

    Args:
        options: As read by `keys_options`.
        stream: Gets the result; what is only for people goes to standard error.

    Raises:
        ApiKeyError: If the file or the key cannot be used.
    """
    _COMMANDS[options.keys_command](options, stream)


def _add(options: argparse.Namespace, stream: TextIO) -> None:
    if options.burst_count is not None and options.requests_per_second is None:
        raise ApiKeyError("--burst needs --requests-per-second")
    now = datetime.now(UTC)
    wanted = access_pb2.ApiKey(
        scope=_SCOPE_PREFIX + options.scope.upper(),
        label=options.label,
        requests_per_second=options.requests_per_second,
        burst_count=options.burst_count,
    )
    if options.expires is not None:
        wanted.expire_time.FromDatetime(now + options.expires)
    with changing_keys(options.file) as keys:
        new = add_key(keys, wanted, now)
    _print_new(new, options, stream, now)


def _rotate(options: argparse.Namespace, stream: TextIO) -> None:
    now = datetime.now(UTC)
    with changing_keys(options.file) as keys:
        new = rotate_key(keys, options.key_id, overlap=options.overlap, now=now)
        end = find_key(keys, options.key_id).expire_time.ToDatetime()
    _print_new(new, options, stream, now)
    if not options.json:
        sys.stderr.write(f"the old key {options.key_id} ends {end:%Y-%m-%d %H:%M:%S} UTC\n")


def _revoke(options: argparse.Namespace, stream: TextIO) -> None:
    now = datetime.now(UTC)
    with changing_keys(options.file) as keys:
        key = revoke_key(keys, options.key_id, now)
    if options.json:
        output.write_json(stream, _key_json(key, now))
    else:
        stream.write(f"key {key.key_id} is revoked\n")


def _list(options: argparse.Namespace, stream: TextIO) -> None:
    now = datetime.now(UTC)
    keys = read_keys(options.file).keys
    if options.json:
        for key in keys:
            output.write_json(stream, _key_json(key, now))
    elif keys:
        output.make_console(stream).print(_key_table(keys, now))
    else:
        stream.write("the file has no keys\n")


_COMMANDS: dict[str, Callable[[argparse.Namespace, TextIO], None]] = {
    "add": _add,
    "list": _list,
    "revoke": _revoke,
    "rotate": _rotate,
}


def _print_new(new: NewKey, options: argparse.Namespace, stream: TextIO, now: datetime) -> None:
    """Prints the token alone on standard output, so that a script can take it."""
    if options.json:
        output.write_json(stream, _key_json(new.key, now) | {"token": new.token})
        return
    stream.write(new.token + "\n")
    label = f" for {new.key.label!r}" if new.key.label else ""
    sys.stderr.write(
        f"key {new.key.key_id} with scope {_scope(new.key)}{label}; it is shown this once\n"
    )


def _key_json(key: access_pb2.ApiKey, now: datetime) -> dict[str, Any]:
    def time_of(field: str) -> str | None:
        """Returns a time in RFC 3339; None where the key has none."""
        return getattr(key, field).ToJsonString() if key.HasField(field) else None

    has_limit, has_burst = key.HasField("requests_per_second"), key.HasField("burst_count")
    return {
        "key_id": key.key_id,
        "scope": _scope(key),
        "label": key.label,
        "state": state_of(key, now),
        "create_time": time_of("create_time"),
        "expire_time": time_of("expire_time"),
        "revoke_time": time_of("revoke_time"),
        "requests_per_second": key.requests_per_second if has_limit else None,
        "burst_count": key.burst_count if has_burst else None,
    }


def _key_table(keys: Any, now: datetime) -> Table:
    """Lays the keys out; in 80 columns only the label is folded."""
    table = Table(box=None, pad_edge=False)
    for name in ("key", "scope", "state", "made"):
        table.add_column(name, no_wrap=True)
    table.add_column("ends (UTC)", no_wrap=True)
    table.add_column("calls/s", no_wrap=True, justify="right")
    table.add_column("label", overflow="fold")
    for key in keys:
        state = state_of(key, now)
        has_end = key.HasField("expire_time")
        table.add_row(
            key.key_id,
            _scope(key),
            Text(state, style=_STATE_STYLES[state]),
            f"{key.create_time.ToDatetime():%Y-%m-%d}",
            f"{key.expire_time.ToDatetime():%Y-%m-%d %H:%M}" if has_end else "never",
            f"{key.requests_per_second:g}" if key.HasField("requests_per_second") else "–",
            Text(key.label),
        )
    return table


def _scope(key: access_pb2.ApiKey) -> str:
    return access_pb2.AccessScope.Name(key.scope).removeprefix(_SCOPE_PREFIX).lower()
