"""Publishes a pair scorer: `python -m twinshelf.export.pair_scorer --run runs/pairs`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from twinshelf.server.command_line import read_command_line


@dataclass(frozen=True, slots=True, kw_only=True)
class PairScorerOptions:
    """Publishes a trained pair scorer.

    Attributes:
        run: Folder of the trained scorer.
        repository: Model repository to publish into.
        version: Version to publish as, from 1; default: the next free one.
        force: Replace the version when it holds another scorer.
    """

    run: Path
    repository: Path = Path("model_repository")
    version: Annotated[int | None, "1 to 2147483647"] = None
    force: bool = False


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code: 0 published or unchanged, 1 refused, 130 Ctrl-C."""
    options = read_command_line(PairScorerOptions, "twinshelf.export.pair_scorer", arguments)
    # Here, since it takes seconds: a wrong value is told of at once.
    from twinshelf.export.pair_scorer_publishing import publish_pair_scorer

    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        done = publish_pair_scorer(
            options.run, options.repository, version=options.version, replaces=options.force
        )
    except (ValueError, OSError) as error:
        sys.stderr.write(f"error: nothing was published: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("stopped: nothing was published\n")
        return 130
    sys.stdout.write(
        f"{'published' if done.is_new else 'unchanged'}: version {done.version} of "
        f"{options.repository}, pair scorer {done.contract['digest']}\n"
        f"  parity: largest difference {done.difference:.1e}\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
