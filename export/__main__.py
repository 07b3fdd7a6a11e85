"""Publish a trained encoder: `python -m export --run runs/demo --repository model_repository`.

Writes version N of every model, checks that it embeds as the trained encoder does, and only then
moves it into place. Publishing the same again changes nothing and ends at once.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from export.record import PublicationRecord, find_unchanged, source_digest
from export.repository import COMMITTED


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code: 0 published or unchanged, 1 refused."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO if options.verbose else logging.WARNING, format="%(message)s"
    )
    # The exporters below ours log each step of theirs.
    logging.getLogger("export").setLevel(logging.INFO)
    try:
        sys.stdout.write(_publish(options))
    except (ValueError, OSError) as error:
        logging.getLogger(__name__).debug("refused", exc_info=True)
        sys.stderr.write(f"error: nothing was published: {error}\n")
        return 1
    return 0


def _publish(options: argparse.Namespace) -> str:
    run, repository = Path(options.run), Path(options.repository)
    source = source_digest(run, repository, COMMITTED)
    unchanged = find_unchanged(repository, options.version, source)
    if unchanged is not None:
        return _summary("unchanged", repository, *unchanged)
    # Only now: importing torch takes longer than recognising what is already there.
    from export.publishing import PublishRequest, publish

    request = PublishRequest(
        run=run,
        repository=repository,
        committed=COMMITTED,
        version=options.version,
        replaces=options.force,
        allows_uncalibrated=options.uncalibrated,
    )
    return _summary("published", repository, *publish(request))


def _summary(what: str, repository: Path, version: int, record: PublicationRecord) -> str:
    lines = [
        f"{what}: version {version} of {repository}, encoder {record.digest}",
        f"  parity: {record.row_count} rows embedded both ways, "
        f"largest difference {record.embedding_difference:.1e}",
    ]
    for name, (in_torch, as_published) in record.metrics.items():
        lines.append(f"  {name}: {in_torch:.4f} in torch, {as_published:.4f} as published")
    return "\n".join(lines) + "\n"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m export",
        description="Publish a trained encoder as a version of the model repository.",
    )
    parser.add_argument("--run", required=True, help="folder of the run, such as runs/demo")
    parser.add_argument(
        "--repository",
        default="model_repository",
        help="model repository to publish into (default: %(default)s)",
    )
    parser.add_argument(
        "--version", type=int, help="version to publish as, from 1 (default: the next free one)"
    )
    parser.add_argument(
        "--force", action="store_true", help="replace the version when it holds another encoder"
    )
    parser.add_argument(
        "--uncalibrated",
        action="store_true",
        help="publish a run that training.evaluate has not calibrated",
    )
    parser.add_argument("--verbose", action="store_true", help="log what the libraries do")
    return parser


if __name__ == "__main__":
    sys.exit(main())
