"""The command `twinshelf doctor` and its options."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from twinshelf.client.commands.option_groups import spread
from twinshelf.client.commands.options import FAILED, Connection
from twinshelf.client.doctor.endpoint import Endpoint


def read_endpoint(text: str) -> Endpoint:
    """Reads host:port.

    Raises:
        typer.BadParameter: If the text is nothing of the kind.
    """
    try:
        return Endpoint.parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def endpoint_option(help_text: str) -> Any:
    """Makes an option that takes a host and a port, with the help that is given."""
    return typer.Option(parser=read_endpoint, metavar="HOST:PORT", help=help_text)


METRICS_OPTION = endpoint_option(
    "Metrics of the service (default: 127.0.0.1:50052, if something answers there)."
)


@spread
def doctor(
    connection: Connection,
    metrics: Annotated[Endpoint | None, METRICS_OPTION] = None,
    triton: Annotated[
        Endpoint | None,
        endpoint_option("gRPC of Triton (default: 127.0.0.1:8001, if something answers there)."),
    ] = None,
    triton_http: Annotated[
        Endpoint | None,
        endpoint_option("HTTP of Triton (default: port 8000 of the same host)."),
    ] = None,
    other_triton: Annotated[
        Endpoint | None,
        endpoint_option(
            "gRPC of the Triton with a further encoder (--other-triton of the service)."
        ),
    ] = None,
    other_triton_http: Annotated[
        Endpoint | None,
        endpoint_option("HTTP of that Triton (default: port 8000 of the same host)."),
    ] = None,
    catalogue: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Folder of the catalogue, to see how much room its disk has."
        ),
    ] = None,
) -> None:
    """Check the service, its Tritons and its metrics; say what to do.

    One line for each check, and what to do where one fails. It only reads. Exit status 1 when
    something is broken.
    """
    from twinshelf.client.doctor.deployment import CHECK_TIMEOUT_S, DoctorPlan, run_doctor
    from twinshelf.client.doctor.service import ServiceTarget

    plan = DoctorPlan(
        service=ServiceTarget(
            address=connection.address,
            tls=connection.client_tls(),
            api_key=connection.api_key(),
            timeout_s=min(connection.timeout_s, CHECK_TIMEOUT_S),
        ),
        metrics=metrics,
        triton=triton,
        triton_http=triton_http,
        other_triton=other_triton,
        other_triton_http=other_triton_http,
        catalogue=catalogue,
    )
    with connection.open() as client:
        is_well = run_doctor(client, plan, sys.stdout, as_json=connection.json)
    if not is_well:
        raise typer.Exit(FAILED)
