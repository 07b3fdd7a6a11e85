"""Where a measurement reads and writes, and the commands that it is made of."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where the measurements read and write.

    Attributes:
        data_root: Folder with a folder per data set.
        output: Folder of all runs and results.
        image_weights: File of the image encoder's starting weights.
        text_encoder: Folder of a pretrained text encoder; None trains small ones from scratch and
            scores pairs by boosting alone.
    """

    data_root: Path
    output: Path
    image_weights: Path
    text_encoder: Path | None = None

    def data(self, name: str) -> Path:
        """Returns the folder of the tables made of a data set."""
        return self.output / "data" / name

    def run(self, name: str) -> Path:
        """Returns the folder of a row's run."""
        return self.output / name

    def shorten(self, text: str) -> str:
        """Returns a text with variables for the paths that differ from machine to machine."""
        known = {self.data_root: "$DATA_ROOT", self.image_weights: "$IMAGE_WEIGHTS"}
        if self.text_encoder is not None:
            known[self.text_encoder] = "$TEXT_ENCODER"
        # The longest first: one may lie inside of another.
        for path in sorted(known, key=lambda path: len(str(path)), reverse=True):
            text = text.replace(str(path), known[path])
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command as a user types it.

    Attributes:
        module: Module that Python runs.
        arguments: Its arguments.
        makes: Files that are there when it has ended well; it is repeated only when what these are
            made from has changed. A command that names none is always run.
    """

    module: str
    arguments: tuple[str, ...]
    makes: tuple[Path, ...] = ()

    @classmethod
    def of(cls, module: str, *arguments: str | Path, makes: Sequence[Path] = ()) -> Command:
        """Returns the command of a module with its arguments."""
        return cls(module=module, arguments=tuple(map(str, arguments)), makes=tuple(makes))

    @property
    def text(self) -> str:
        """The line that a user types."""
        return shlex.join(["python", "-m", self.module, *self.arguments])

    def run(self) -> None:
        """Runs the command in a process of its own; what it prints goes where ours goes.

        Raises:
            RuntimeError: If it ends with an error.
        """
        sys.stdout.flush()
        line = [sys.executable, "-m", self.module, *self.arguments]
        status = subprocess.run(line, check=False).returncode
        if status != 0:
            raise RuntimeError(f"ended with status {status}: {self.text}")
