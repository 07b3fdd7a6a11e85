"""The options that all loads share: which deployment they start, and where they report."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from tests.soak.deployment import PROJECT, Deployment

OUTPUT: Final = PROJECT / "runs" / "soak"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say which deployment a tool starts."""
    parser.add_argument("--checkout", type=Path, default=PROJECT, help="project whose code is run")
    parser.add_argument(
        "--repository", type=Path, help="model repository [that of the checkout]", default=None
    )
    parser.add_argument("--version", type=int, help="encoder version [the newest]")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder of the report")
    parser.add_argument(
        "--service-argument",
        action="append",
        default=[],
        metavar="OPTION",
        help="further option of the service, such as --service-argument=--reader-count=2",
    )


def deployment_of(options: argparse.Namespace, name: str) -> Deployment:
    """Returns the deployment that the options describe, not started."""
    return Deployment(
        options.output / name,
        repository=options.repository or options.checkout / "model_repository",
        checkout=options.checkout.resolve(),
        version=options.version,
        service_arguments=tuple(options.service_argument),
    )
