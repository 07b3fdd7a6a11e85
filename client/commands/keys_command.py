"""`twinshelf keys`: makes, lists, replaces and revokes the API keys of a service."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

import typer
from rich.table import Table
from rich.text import Text

from twinshelf.client.api_keys import (
    ApiKeyError,
    NewKey,
    add_key,
    find_key,
    revoke_key,
    rotate_key,
    state_of,
)
from twinshelf.client.commands import output
from twinshelf.client.commands.keys_options import (
    BurstOption,
    ExpiresOption,
    FileOption,
    KeyIdArgument,
    LabelOption,
    OverlapOption,
    RateOption,
    ScopeOption,
)
from twinshelf.client.commands.options import JsonOption
from twinshelf.client.key_file import changing_keys, read_keys
from twinshelf.v1 import access_pb2

_SCOPE_PREFIX = "ACCESS_SCOPE_"
_STATE_STYLES = {"active": "green", "expired": "yellow", "revoked": "red"}


keys = typer.Typer(
    help="Make, list, replace and revoke API keys.\n\nKeeps the file of API keys that the service "
    "reads (its option --keys). The service takes up a change within a second; nothing needs to "
    "be started again.",
)


@keys.command()
def add(
    *,
    scope: ScopeOption,
    label: LabelOption = "",
    expires: ExpiresOption = None,
    rate: RateOption = None,
    burst_count: BurstOption = None,
    file: FileOption,
    json: JsonOption = False,
) -> None:
    """Make a key and print it on standard output, this once: the file keeps only its hash."""
    if burst_count is not None and rate is None:
        raise ApiKeyError("--burst needs --requests-per-second")
    now = datetime.now(UTC)
    wanted = access_pb2.ApiKey(
        scope=_SCOPE_PREFIX + scope.upper(),
        label=label,
        requests_per_second=rate,
        burst_count=burst_count,
    )
    if expires is not None:
        wanted.expire_time.FromDatetime(now + expires)
    with changing_keys(file) as stored:
        new = add_key(stored, wanted, now)
    _print_new(new, now, as_json=json)


@keys.command()
def rotate(
    key_id: KeyIdArgument,
    file: FileOption,
    overlap: OverlapOption = "1h",  # type: ignore[assignment]  # read like what is typed
    json: JsonOption = False,
) -> None:
    """Make a key like another one, which then ends."""
    now = datetime.now(UTC)
    with changing_keys(file) as stored:
        new = rotate_key(stored, key_id, overlap=overlap, now=now)
        end = find_key(stored, key_id).expire_time.ToDatetime()
    _print_new(new, now, as_json=json)
    if not json:
        sys.stderr.write(f"the old key {key_id} ends {end:%Y-%m-%d %H:%M:%S} UTC\n")


@keys.command()
def revoke(key_id: KeyIdArgument, file: FileOption, json: JsonOption = False) -> None:
    """End a key for good, at once."""
    now = datetime.now(UTC)
    with changing_keys(file) as stored:
        key = revoke_key(stored, key_id, now)
    if json:
        output.write_json(sys.stdout, _key_json(key, now))
    else:
        sys.stdout.write(f"key {key.key_id} is revoked\n")


@keys.command("list")
def list_keys(file: FileOption, json: JsonOption = False) -> None:
    """Print all keys, without their secrets."""
    now = datetime.now(UTC)
    stored = read_keys(file).keys
    if json:
        for key in stored:
            output.write_json(sys.stdout, _key_json(key, now))
    elif stored:
        output.make_console(sys.stdout).print(_key_table(stored, now))
    else:
        sys.stdout.write("the file has no keys\n")


def _print_new(new: NewKey, now: datetime, *, as_json: bool) -> None:
    """Prints the token alone on standard output, so that a script can take it."""
    if as_json:
        output.write_json(sys.stdout, _key_json(new.key, now) | {"token": new.token})
        return
    sys.stdout.write(new.token + "\n")
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
            output.plain(key.label),
        )
    return table


def _scope(key: access_pb2.ApiKey) -> str:
    return access_pb2.AccessScope.Name(key.scope).removeprefix(_SCOPE_PREFIX).lower()
