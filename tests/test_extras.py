"""Each extra brings what its part imports: nothing else can be imported here."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).resolve().parents[1]

# Imports every module of a part but some, where only the packages that are named can be found.
IMPORT_ALL = """
import importlib, importlib.machinery, pkgutil, sys
part, left_out, hidden = sys.argv[1], tuple(filter(None, sys.argv[2].split())), sys.argv[3].split()

class Installed(importlib.machinery.PathFinder):
    finders = sys.meta_path[:]

    def find_spec(self, name, path=None, target=None):
        if name in hidden:
            return None
        found = (finder.find_spec(name, path, target) for finder in self.finders)
        return next(filter(None, found), None)

sys.meta_path[:] = [Installed()]
package = importlib.import_module(part)
for found in pkgutil.walk_packages(getattr(package, "__path__", ()), part + "."):
    if not found.name.startswith(left_out or ("-",)) and not found.name.endswith("__main__"):
        importlib.import_module(found.name)
"""


@pytest.mark.parametrize(
    ("extras", "part", "left_out"),
    [
        ("server", "twinshelf.server", "twinshelf.server.bulk"),
        ("triton", "twinshelf.server.triton.__main__", ""),
        ("client", "twinshelf.client", "twinshelf.client.web twinshelf.client.demo"),
        ("client web", "twinshelf.client", "twinshelf.client.demo"),
        ("client server local", "twinshelf.server", ""),
    ],
)
def test_an_extra_brings_what_its_part_imports(extras: str, part: str, left_out: str) -> None:
    kept = set(brought_by(extras.split()))
    hidden = {
        module
        for module, owners in packages_distributions().items()
        if not kept & {canonicalize_name(owner) for owner in owners} and module != "twinshelf"
    }
    assert "torch" in hidden
    subprocess.run([sys.executable, "-c", IMPORT_ALL, part, left_out, " ".join(hidden)], check=True)


def brought_by(extras: list[str]) -> Iterator[str]:
    """Yields the names of all distributions that extras of the project install."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
    lists = [project["dependencies"], *(project["optional-dependencies"][each] for each in extras)]
    waiting = [Requirement(line) for lines in lists for line in lines]
    seen = set()
    while waiting:
        asked = waiting.pop()
        for extra in ("", *asked.extras):
            key = (canonicalize_name(asked.name), extra)
            if key in seen:
                continue
            seen.add(key)
            yield key[0]
            for line in distribution(asked.name).requires or ():
                needed = Requirement(line)
                if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                    waiting.append(needed)
