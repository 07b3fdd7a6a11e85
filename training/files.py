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
import json
import math
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from functools import cache
from importlib.metadata import packages_distributions, version
from modulefinder import ModuleFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

# Photos are many and large: size and time of change stand for their content. Those of a table or
# of the web are stored under a digest.
PHOTO_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
_STORED_PHOTO = re.compile("[0-9a-f]{64}")
_CODE_SUFFIXES = frozenset({".md", ".py", ".pyc", ".pyi"})
# What goes on from where it was stopped ends as what was never stopped.
_GOES_ON = "--resume"


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


@contextlib.contextmanager
def reading(path: Path) -> Iterator[Path]:
    """Gives the path of a file to read, of a form whose readers raise many things.

    Raises:
        OSError: If the body raises it.
        ValueError: If the body raises anything else; the file is named as damaged.
    """
    try:
        yield path
    except OSError:
        raise
    except Exception as error:
        raise ValueError(f"{path} is damaged: {error!r}") from error


def write_json(path: Path, values: DataclassInstance | Mapping[str, Any]) -> None:
    """Writes an object as `write_atomically` does, as readable JSON; NaN and infinity are null."""
    plain = _finite(values if isinstance(values, Mapping) else asdict(values))
    write_atomically(path, json.dumps(plain, indent=2, ensure_ascii=False) + "\n")


def made_of(kind: Any, plain: Any) -> Any:
    """Makes of JSON what `write_json` was given: a dataclass, with all that its fields hold.

    Args:
        kind: The dataclass; or another type that its fields have.
        plain: Values as JSON has them; those that are no field are passed over.

    Raises:
        KeyError, TypeError, AttributeError: If the values are not of that form.
    """
    origin, parts = get_origin(kind), get_args(kind)
    if origin is tuple:
        return tuple(made_of(parts[0], each) for each in plain)
    if origin is Mapping:
        return {parts[0](name): made_of(parts[1], each) for name, each in plain.items()}
    if not (isinstance(kind, type) and is_dataclass(kind)):
        return plain
    hints = get_type_hints(kind)
    return kind(**{each.name: made_of(hints[each.name], plain[each.name]) for each in fields(kind)})


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
        deciding = (each for each in self.options if each != _GOES_ON)
        lines = [code_digest(self.module), *map(repr, deciding)]
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
        if path.suffix.lower() in PHOTO_SUFFIXES or _STORED_PHOTO.fullmatch(path.name):
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
    finder = _OurModules(ours={_top(module), _top(__name__)})
    for name in (module, f"{module}.__main__"):
        with contextlib.suppress(ImportError):
            finder.import_hook(name)
    if module not in finder.modules:
        raise ModuleNotFoundError(f"there is no module {module}")
    for name in finder.any_missing_maybe()[0]:
        if _top(name) in finder.ours:
            importer = next(iter(finder.badmodules[name]))
            raise ModuleNotFoundError(
                f"{importer} imports {name}, which is not there or cannot be read"
            )
    lines = [f"python {sys.version_info.major}.{sys.version_info.minor}"]
    data_files: set[Path] = set()
    for name, found in sorted(finder.modules.items()):
        path = Path(found.__file__)  # type: ignore[attr-defined]
        tree = ast.parse(path.read_bytes(), filename=str(path))
        data_files.update(_named_data_files(path.parent, tree))
        _drop_docstrings(tree)
        lines.append(f"{name} {hashlib.sha256(ast.dump(tree).encode()).hexdigest()}")
    lines += [f"{path.name} {file_state(path)}" for path in sorted(data_files)]
    libraries = set(map(_top, finder.badmodules)) - finder.ours
    distributions = packages_distributions()
    names = {name for library in libraries for name in distributions.get(library, ())}
    lines += [f"{name} {version(name)}" for name in sorted(names)]
    return _join(lines)


class _OurModules(ModuleFinder):
    """Follows imports into the packages that are ours; all others count as missing modules."""

    def __init__(self, ours: set[str]) -> None:
        super().__init__()
        self.ours = ours

    def find_module(self, name: str, path: Any, parent: Any = None) -> Any:
        """Finds a module in the folders of its package, or a package of ours."""
        if path is None and name not in self.ours:
            raise ImportError(name)
        return super().find_module(name, path, parent)


def _top(name: str) -> str:
    return name.partition(".")[0]


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
