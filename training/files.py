"""Files of ours: written atomically, and kept as long as what they were made from stays the same.

A step makes files from files. What it depends on is found, not listed by hand: the code of its
module and of every module of ours that this one imports, directly or through others; the data
files that lie beside these and that their code names; the versions of the libraries that they
import; and the step's own options and input files. Comments and docstrings do not count.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib.util
import json
import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

# Photos are many and large: size and time of change stand for their content.
PHOTO_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
_CODE_SUFFIXES = frozenset({".md", ".py", ".pyc", ".pyi"})


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Gives a path to write to; at the end, what lies there takes the place of the file.

    When the body raises, the file stays as it was, and nothing is left beside it.

    Args:
        path: The file; its folder is made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_atomically(path: Path, text: str) -> None:
    """Writes a text as UTF-8, all of it or nothing; the folder of the file is made."""
    with atomic_write(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, values: DataclassInstance | Mapping[str, Any]) -> None:
    """Writes an object as `write_atomically` does, as readable JSON; NaN and infinity are null."""
    plain = _finite(values if isinstance(values, Mapping) else asdict(values))
    write_atomically(path, json.dumps(plain, indent=2, ensure_ascii=False) + "\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A command that makes files from files.

    Attributes:
        name: A verb; the stamp is called after it.
        module: What `python -m` runs, such as "twinshelf.training.train".
        options: What it is told, in order.
        inputs: Files, and folders with all files below them, that it reads.
        outputs: Files that it makes; the stamp lies beside the first. A step without any is never
            done.
        reading_list: A file that it writes: paths, one a line, of what it read beside its inputs,
            such as the photos that a table names; these may be missing.
    """

    name: str
    module: str
    options: tuple[str, ...] = ()
    inputs: tuple[Path, ...] = ()
    outputs: tuple[Path, ...] = ()
    reading_list: Path | None = None

    @property
    def stamp_path(self) -> Path:
        """Where the step notes what its outputs were made from."""
        return self.outputs[0].with_name(f"{self.name}.step.json")

    def digest(self) -> str:
        """Computes SHA-256, as 64 hex digits, of all that decides the outputs.

        Raises:
            FileNotFoundError: If an input is missing.
            ModuleNotFoundError: If a module of ours that the code imports is missing.
        """
        lines = [code_digest(self.module), *map(repr, self.options)]
        for path in self.inputs:
            lines += [f"{file.relative_to(path.parent)} {file_state(file)}" for file in _list(path)]
        return _join(lines)

    def is_done(self) -> bool:
        """Tells whether the outputs are there, untouched, and made from just this.

        Raises:
            FileNotFoundError: If an input is missing.
            ModuleNotFoundError: If a module of ours that the code imports is missing.
        """
        digest = self.digest()
        if not self.outputs:
            return False
        try:
            stamp = json.loads(self.stamp_path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return bool(stamp == self._describe(digest))

    @contextlib.contextmanager
    def stamped(self) -> Iterator[None]:
        """Stamps the outputs that the body makes; when it raises, there is no stamp.

        Raises:
            FileNotFoundError: If an input is missing, or the body left out an output.
            ModuleNotFoundError: If a module of ours that the code imports is missing.
        """
        digest = self.digest()  # before the body: a change during it must not pass unnoticed
        if not self.outputs:
            yield
            return
        self.stamp_path.unlink(missing_ok=True)
        yield
        for path in self.outputs:
            if not path.is_file():
                raise FileNotFoundError(f"{self.name} ended well but did not write {path}")
        write_atomically(self.stamp_path, json.dumps(self._describe(digest), indent=2) + "\n")

    def _describe(self, digest: str) -> dict[str, object]:
        listed = self.reading_list
        read = listed.read_text("utf-8").splitlines() if listed and listed.is_file() else ()
        return {
            "digest": digest,
            "outputs": {str(path): file_state(path) for path in self.outputs},
            "read": _join(f"{path} {file_state(Path(path))}" for path in read),
        }


def file_state(path: Path) -> str:
    """Returns what tells one content of a file from another; "absent" for no file.

    SHA-256 of the content; for photos, which are many, size and time of change.
    """
    try:
        if path.suffix.lower() in PHOTO_SUFFIXES:
            found = path.stat()
            return f"{found.st_size} {found.st_mtime_ns}"
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return "absent"


@cache
def code_digest(module: str) -> str:
    """Computes SHA-256, as 64 hex digits, of the code that running a module can reach.

    Args:
        module: Full name; of a package, what `python -m` runs.

    Raises:
        ModuleNotFoundError: If it is missing, or a module of ours that is imported.
    """
    reached = _Reached(ours={_top(module), _top(__name__)})
    reached.add(module, importer="the step")
    reached.add(f"{module}.__main__")
    lines = [f"python {sys.version_info.major}.{sys.version_info.minor}"]
    lines += [f"{name} {digest}" for name, digest in sorted(reached.modules.items())]
    lines += [f"{path.name} {file_state(path)}" for path in sorted(reached.data_files)]
    distributions = packages_distributions()
    names = {name for library in reached.libraries for name in distributions.get(library, ())}
    lines += [f"{name} {version(name)}" for name in sorted(names)]
    return _join(lines)


@dataclass(slots=True)
class _Reached:
    """What a walk along the imports has come to.

    Attributes:
        ours: Packages whose modules are followed.
        modules: Digest of the code of each module, by full name.
        data_files: Files beside modules, named in their code.
        libraries: Import names of other packages.
    """

    ours: set[str]
    modules: dict[str, str] = field(default_factory=dict)
    data_files: set[Path] = field(default_factory=set)
    libraries: set[str] = field(default_factory=set)

    def add(self, name: str, *, importer: str = "") -> bool:
        """Follows a module and the packages around it; tells whether there is one.

        Args:
            name: Full name.
            importer: Who needs it; empty where a missing one is no error, as for a name that may
                be a module or something inside of one.

        Raises:
            ModuleNotFoundError: If it is missing and needed.
        """
        if _top(name) not in self.ours:
            self.libraries.add(_top(name))
            return True
        if name in self.modules:
            return True
        path = _find_module(name)
        if path is None:
            if importer:
                raise ModuleNotFoundError(f"{importer} imports {name}, which is not there")
            return False
        tree = ast.parse(path.read_bytes(), filename=str(path))
        self.data_files.update(_named_data_files(path.parent, tree))
        imports = list(_imports(tree, name if path.name == "__init__.py" else _parent(name)))
        _drop_docstrings(tree)
        self.modules[name] = hashlib.sha256(ast.dump(tree).encode()).hexdigest()
        if _parent(name):
            self.add(_parent(name), importer=name)
        for module, names in imports:
            self.add(module, importer=name)
            for each in names:
                self.add(f"{module}.{each}")
        return True


def _find_module(name: str) -> Path | None:
    top, *rest = name.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None or not rest:
        return Path(spec.origin) if spec and spec.origin else None
    for folder in spec.submodule_search_locations or ():
        path = Path(folder, *rest)
        for candidate in (path / "__init__.py", path.with_name(f"{path.name}.py")):
            if candidate.is_file():
                return candidate
    return None


def _top(name: str) -> str:
    return name.partition(".")[0]


def _parent(name: str) -> str:
    return name.rpartition(".")[0]


def _imports(tree: ast.Module, package: str) -> Iterator[tuple[str, list[str]]]:
    """Yields modules that are imported, anywhere in the code, and the names taken from each."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            around = package.split(".")
            parts = around[: len(around) + 1 - node.level] if node.level else []
            module = ".".join([*parts, *filter(None, [node.module])])
            yield module, [alias.name for alias in node.names]


def _named_data_files(folder: Path, tree: ast.Module) -> Iterator[Path]:
    """Yields files beside a module, or in plain folders there, whose names stand in its code."""
    words = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    for path in folder.iterdir():
        if path.name in words and not (path / "__init__.py").is_file():
            yield from (file for file in _list(path) if file.suffix not in _CODE_SUFFIXES)


def _drop_docstrings(tree: ast.Module) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if ast.get_docstring(node, clean=False) is not None:
                del node.body[0]


def _list(path: Path) -> list[Path]:
    if path.is_dir():
        files = (file for file in path.rglob("*") if file.is_file())
        return sorted(file for file in files if file.parent.name != "__pycache__")
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder {path}")
    return [path]


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _join(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
