"""Starts the web page beside a running matching service.

python -m twinshelf.client.web --image-root photos/
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
import uvicorn
from starlette.types import ASGIApp

from twinshelf.client.commands.option_groups import spread
from twinshelf.client.commands.options import UNUSABLE_INPUT, Connection, complain
from twinshelf.client.commands.plain_help import run_command
from twinshelf.client.doctor.command import METRICS_OPTION, endpoint_option
from twinshelf.client.doctor.endpoint import Endpoint
from twinshelf.client.web.app import make_app
from twinshelf.client.web.config import LOOPBACK_NAMES, PageConfig

DEFAULT_LISTEN = "127.0.0.1:8080"


@spread
def serve(
    connection: Connection,
    listen: Annotated[Endpoint, endpoint_option("Where browsers find it.")] = DEFAULT_LISTEN,  # type: ignore[assignment] # typer parses the default, too
    host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Another name that browsers call it by; may be given repeatedly. Whoever reaches "
            "the page may write to the catalogue with its key: put an authenticating proxy before "
            "it.",
        ),
    ] = None,
    image_root: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Where photos of products lie; without it none is shown."
        ),
    ] = None,
    judgements: Annotated[
        Path,
        typer.Option(metavar="FILE", help="SQLite file of what people judge; made if missing."),
    ] = Path("judgements.sqlite"),
    beside: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST:PORT", help="Another service to compare with; may be given repeatedly."
        ),
    ] = None,
    metrics: Annotated[Endpoint | None, METRICS_OPTION] = None,
    views: Annotated[
        str,
        typer.Option(metavar="ATTRIBUTE", help="Attribute of products that counts their views."),
    ] = "views",
) -> None:
    """Serve the web page: search, compare, catalogue, groups, review, health."""
    try:
        config = PageConfig(
            address=connection.address,
            timeout_s=connection.timeout_s,
            api_key=connection.api_key(),
            tls=connection.client_tls(),
            image_root=image_root,
            judgements=judgements,
            hosts=(*LOOPBACK_NAMES, str(listen).rpartition(":")[0], *(host or ())),
            other_addresses=tuple(beside or ()),
            metrics=metrics,
            views_attribute=views,
        )
        app = make_app(config)
    except ValueError as error:
        complain(str(error))
        raise typer.Exit(UNUSABLE_INPUT) from None
    _run(app, listen, config.hosts)


def _run(app: ASGIApp, listen: Endpoint, hosts: Sequence[str]) -> None:
    _require_free(listen)
    sys.stdout.write(f"the page is at http://{listen}/\n")
    if not listen.is_loopback:
        names = ", ".join(dict.fromkeys(hosts))
        sys.stdout.write(f"browsers may call it {names}; --host adds a name\n")
    sys.stdout.flush()
    uvicorn.run(app, host=listen.host, port=listen.port, log_level="warning", server_header=False)


def _require_free(listen: Endpoint) -> None:
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    try:
        socket.create_server((listen.host, listen.port), family=family).close()
    except OSError as error:
        # Python adds the address in a form of its own.
        reason = str(error.strerror or error).partition(" (while attempting")[0]
        complain(f"{listen} cannot be listened on ({reason}); --listen names another")
        raise typer.Exit(UNUSABLE_INPUT) from None


if __name__ == "__main__":
    run_command(serve)
