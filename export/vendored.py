"""Sources of training in a version: copied in, and imported back out of the version."""

from __future__ import annotations

import importlib.util
import itertools
import shutil
import sys
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from types import ModuleType

import training.preprocessing

SOURCES = Path(training.preprocessing.__file__).parent
FOLDER = "preprocessing"
_package_numbers = itertools.count(1)


def vendor_preprocessing(version_folder: Path) -> None:
    """Copies the sources of training's preprocessing into the version folder of a model."""
    names = sorted(source.name for source in SOURCES.glob("*.py"))
    copy_sources(names, SOURCES, version_folder / FOLDER)


def copy_sources(names: Iterable[str], source: Path, target: Path) -> None:
    """Copies files of a package into a new folder."""
    target.mkdir(parents=True)
    for name in names:
        shutil.copyfile(source / name, target / name)


class VendoredPackage:
    """A package in a version folder, imported under a name of its own.

    Nothing of it comes from training: what Triton will run is what runs here.
    """

    def __init__(self, folder: Path) -> None:
        """Imports the package.

        Args:
            folder: Folder of the package.

        Raises:
            FileNotFoundError: If there is no package.
        """
        start = folder / "__init__.py"
        if not start.is_file():
            raise FileNotFoundError(f"no {folder.name} in {folder.parent}")
        self._name = f"twinshelf_vendored_{next(_package_numbers)}"
        spec = importlib.util.spec_from_file_location(
            self._name, start, submodule_search_locations=[str(folder)]
        )
        assert spec is not None and spec.loader is not None, "a .py file has a loader"
        package = importlib.util.module_from_spec(spec)
        sys.modules[self._name] = package
        spec.loader.exec_module(package)

    def module(self, name: str) -> ModuleType:
        """Returns a module of the package, such as "images"."""
        # No bytecode: what lies in a version folder is published.
        keeps_bytecode = sys.dont_write_bytecode
        sys.dont_write_bytecode = True
        try:
            return import_module(f"{self._name}.{name}")
        finally:
            sys.dont_write_bytecode = keeps_bytecode
