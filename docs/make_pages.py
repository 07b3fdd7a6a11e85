"""The pages that are made from the sources: READMEs, the command line, the client, the protos."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import mkdocs_gen_files

ROOT = Path(__file__).resolve().parents[1]
COPIED = (
    *("training/README.md", "export/README.md", "server/README.md", "client/README.md"),
    "CHANGELOG.md",
)
# The site leaves out what lies in a hidden folder.
PICTURES, PICTURES_OF_SITE = ".github/", "pictures/"
CLIENT = (
    *("sync_client.Client", "async_client.AsyncClient", "records", "filters", "pair_records"),
    *("category_records", "changes", "groups.sync_groups.Groups", "groups.records"),
    *("encoders.sync_encoders.Encoders", "encoders.records"),
    *("credentials.ClientTls", "retries", "errors"),
)


def write(name: str, text: str) -> None:
    """Writes a page."""
    with mkdocs_gen_files.open(name, "w") as file:
        file.write(text)


def run(*command: str) -> str:
    """Returns what a Python module of ours prints."""
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout


def api_page() -> str:
    """Returns the services and messages with their comments, file by file."""
    parts = [
        "# gRPC API\n\nThe protos themselves; every field says its meaning, range and default.\n"
    ]
    for path in sorted((ROOT / "protos/twinshelf/v1").glob("*.proto")):
        text = path.read_text("utf-8")
        services = re.findall(r"^service (\w+)", text, re.MULTILINE)
        parts.append(f"\n## {', '.join(services) or path.stem}\n\n```proto\n{text}```\n")
    return "".join(parts)


def python_page() -> str:
    """Returns the page of the client's classes, which their docstrings fill."""
    entries = "\n\n".join(f"::: twinshelf.client.{name}" for name in CLIENT)
    return f"# Python client\n\n`from twinshelf.client import Client`\n\n{entries}\n"


write("index.md", (ROOT / "README.md").read_text("utf-8").replace(PICTURES, PICTURES_OF_SITE))
for name in COPIED:
    write(name, (ROOT / name).read_text("utf-8"))
for path in (ROOT / PICTURES).glob("*.png"):
    with mkdocs_gen_files.open(PICTURES_OF_SITE + path.name, "wb") as file:
        file.write(path.read_bytes())
write(
    "reference/twinshelf.md",
    run(
        *("typer", "twinshelf.client.cli", "utils", "docs"),
        *("--name", "twinshelf", "--title", "Command line"),
    ),
)
write(
    "reference/server.md",
    f"# Server options\n\n```\n{run('twinshelf.server', '--help')}```\n",
)
write("reference/python.md", python_page())
write("reference/api.md", api_page())
