"""A Python model of a model repository, run in this process: its own `model.py`, as published."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import numpy as np

from twinshelf.server.triton.repository import RepositoryError

Tensors = Mapping[str, np.ndarray]
# A name that exists only inside Triton's stub.
_BACKEND_UTILS = "triton_python_backend_utils"
_loading = threading.Lock()


def bytes_column(rows: Sequence[bytes]) -> np.ndarray:
    """Returns a BYTES tensor (B, 1), as Triton hands strings to a model."""
    column = np.empty((len(rows), 1), dtype=np.object_)
    column[:, 0] = rows
    return column


class RefusedInputError(ValueError):
    """What a model answered to an input that it can do nothing with."""


@dataclass(frozen=True, slots=True)
class _Tensor:
    name: str
    array: np.ndarray

    def as_numpy(self) -> np.ndarray:
        """Returns the values, (B, ...)."""
        return self.array


@dataclass(frozen=True, slots=True)
class _TritonError:
    message: str
    code: int

    INVALID_ARG: ClassVar[int] = 3


@dataclass(frozen=True, slots=True)
class _InferenceResponse:
    output_tensors: Sequence[_Tensor] = ()
    error: _TritonError | None = None


class PythonModel:
    """A model of the backend python."""

    def __init__(self, folder: Path) -> None:
        """Runs `model.py` of a version folder, with the packages that lie beside it.

        Raises:
            RepositoryError: If it cannot be loaded.
        """
        try:
            with _loading, _as_in_triton(folder):
                spec = importlib.util.spec_from_file_location("model", folder / "model.py")
                assert spec is not None and spec.loader is not None, "a .py file has a loader"
                module = importlib.util.module_from_spec(spec)
                spec.loader.exec_module(module)
                self._model = module.TritonPythonModel()
                self._model.initialize({})
        except (ImportError, AttributeError, OSError, ValueError) as error:
            raise RepositoryError(f"{folder / 'model.py'} cannot be loaded: {error}") from error

    def run(self, inputs: Tensors) -> dict[str, np.ndarray]:
        """Runs one request of (B, ...) inputs.

        Raises:
            RefusedInputError: If the model refuses the request; its own sentence.
        """
        (response,) = self._model.execute([inputs])
        if response.error is not None:
            raise RefusedInputError(response.error.message)
        return {tensor.name: tensor.array for tensor in response.output_tensors}


@contextmanager
def _as_in_triton(folder: Path) -> Iterator[None]:
    """Lets a model find the packages of its own folder, and afterwards nobody else.

    Several versions, each with a package of the same name, live side by side. No byte code is
    left beside what was published, and none that lies there is run: its files alone were checked.
    """
    own = {path.parent.name for path in folder.glob("*/__init__.py")} | {_BACKEND_UTILS}
    hidden = _take_modules(own)
    before = sys.dont_write_bytecode, sys.pycache_prefix
    sys.dont_write_bytecode, sys.pycache_prefix = True, os.devnull
    sys.path.insert(0, str(folder))
    sys.modules[_BACKEND_UTILS] = _backend_utils()
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        sys.dont_write_bytecode, sys.pycache_prefix = before
        _take_modules(own)
        sys.modules.update(hidden)


def _take_modules(packages: set[str]) -> dict[str, ModuleType]:
    names = [name for name in sys.modules if name.partition(".")[0] in packages]
    return {name: sys.modules.pop(name) for name in names}


def _backend_utils() -> ModuleType:
    """Makes the part of Triton's module that our models use; a request is its tensors by name."""
    module = ModuleType(_BACKEND_UTILS)
    vars(module).update(
        Tensor=_Tensor,
        TritonError=_TritonError,
        InferenceResponse=_InferenceResponse,
        get_input_tensor_by_name=lambda request, name: (
            _Tensor(name, request[name]) if name in request else None
        ),
    )
    return module
