"""Publishes a trained encoder as a version of the model repository.

Run: python -m twinshelf.export --run runs/demo --repository model_repository

Writes version N of every model, checks that it embeds as the trained encoder does, and only then
moves it into place. Publishing the same again changes nothing and ends at once.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from twinshelf.export.precision import Precision
from twinshelf.export.record import PublicationRecord, find_unchanged, source_digest
from twinshelf.export.repository import COMMITTED
from twinshelf.server.command_line import read_command_line
from twinshelf.training.files import write_atomically

VERSION = "version.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """Publishes a trained encoder as a version of the model repository.

    Attributes:
        run: Folder of the run, such as runs/demo.
        repository: Model repository to publish into.
        version: Version to publish as, from 1; default: the next free one.
        precision: Number format of the towers: fp32, int8 for any CPU, int8-vnni (CPUs with VNNI),
            or fp16 for GPUs.
        force: Replace the version when it holds another encoder.
        uncalibrated: Publish a run that training.evaluation has not calibrated.
        verbose: Log what the libraries do.
    """

    run: Path
    repository: Path = Path("model_repository")
    version: Annotated[int | None, "1 to 2147483647"] = None
    precision: Precision = "fp32"
    force: bool = False
    uncalibrated: bool = False
    verbose: bool = False


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code: 0 published or unchanged, 1 refused, 130 Ctrl-C."""
    options = read_command_line(ExportOptions, "twinshelf.export", arguments)
    logging.basicConfig(
        level=logging.INFO if options.verbose else logging.WARNING, format="%(message)s"
    )
    # The exporters below ours log each step of theirs.
    logging.getLogger("twinshelf.export").setLevel(logging.INFO)
    try:
        sys.stdout.write(_publish(options))
    except (ValueError, OSError) as error:
        logging.getLogger(__name__).debug("refused", exc_info=True)
        sys.stderr.write(f"error: nothing was published: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("stopped: nothing was published\n")
        return 130
    return 0


def _publish(options: ExportOptions) -> str:
    run, repository = options.run, options.repository
    source = source_digest(run, repository, COMMITTED, options.precision)
    what, found = "unchanged", find_unchanged(repository, options.version, source)
    if found is None:
        # Only now: importing torch takes longer than recognising what is already there.
        from twinshelf.export.publishing import PublishRequest, publish

        request = PublishRequest(
            run=run,
            repository=repository,
            committed=COMMITTED,
            version=options.version,
            precision=options.precision,
            replaces=options.force,
            allows_uncalibrated=options.uncalibrated,
        )
        what, found = "published", publish(request)
    try:  # whoever serves the run next finds its version here
        write_atomically(run / VERSION, f"{found[0]}\n")
    except OSError as error:
        logging.getLogger(__name__).warning("the run does not tell its version: %s", error)
    return _summary(what, repository, *found)


def _summary(what: str, repository: Path, version: int, record: PublicationRecord) -> str:
    lines = [
        f"{what}: version {version} of {repository}, encoder {record.digest}, {record.precision}",
        f"  parity: {record.row_count} rows embedded both ways, "
        f"largest difference {record.embedding_difference:.1e}, "
        f"cosine {record.mean_cosine:.4f} on average and {record.least_cosine:.4f} at least",
    ]
    for name, (in_torch, as_published) in record.metrics.items():
        lines.append(f"  {name}: {in_torch:.4f} in torch, {as_published:.4f} as published")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
