"""Key files made for a test, without the client's command."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from google.protobuf import json_format

from twinshelf.v1 import access_pb2

NOW_S = 1_800_000_000


def secret_of(key_id: str) -> str:
    return f"secret_of_{key_id}"


def token_of(key_id: str) -> str:
    return f"ts_{key_id}_{secret_of(key_id)}"


def make_key(key_id: str, scope: str = "READ", **fields: Any) -> access_pb2.ApiKey:
    """Makes a key whose secret is known; `expire_s` and `revoke_s` are seconds since 1970."""
    times = {name: fields.pop(f"{name}_s", None) for name in ("expire", "revoke")}
    key = access_pb2.ApiKey(
        key_id=key_id,
        scope=f"ACCESS_SCOPE_{scope}",
        secret_sha256=hashlib.sha256(secret_of(key_id).encode()).digest(),
        **fields,
    )
    key.create_time.FromSeconds(NOW_S)
    for name, seconds in times.items():
        if seconds is not None:
            getattr(key, f"{name}_time").FromSeconds(seconds)
    return key


def write_keys(path: Path, *keys: access_pb2.ApiKey) -> Path:
    """Replaces the file as the command does."""
    new = path.with_name(path.name + ".new")
    new.touch(mode=0o600)
    new.write_text(json_format.MessageToJson(access_pb2.KeyFile(keys=keys)))
    os.replace(new, path)
    return path
