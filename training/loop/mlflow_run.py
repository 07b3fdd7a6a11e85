"""The MLflow run that belongs to the folder of a run: one, however often something is logged."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from twinshelf.training.files import write_atomically

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

EXPERIMENT = "twinshelf"
RUN_ID = "mlflow_run_id.txt"
STORE = "mlflow"


def mlflow_address(folder: Path) -> str:
    """Returns where figures go: the server of MLFLOW_TRACKING_URI, else plain files in a folder."""
    # MLflow asks for a yes before it writes plain files; a database needs more packages.
    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
    # Else it tells its makers of each run.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    return os.environ.get("MLFLOW_TRACKING_URI") or (folder / STORE).absolute().as_uri()


def open_mlflow(folder: Path) -> MlflowClient:
    """Returns the client that writes to `mlflow_address`."""
    address = mlflow_address(folder)
    # Here, since it takes seconds, and most runs are without it.
    from mlflow.tracking import MlflowClient

    return MlflowClient(address)


def mlflow_experiment(folder: Path) -> str:
    """Returns the identifier of the experiment of all runs, which is made where there is none.

    Raises:
        OSError: If MLflow cannot be reached or refuses; names the address.
    """
    with _reached(folder) as client:
        known = client.get_experiment_by_name(EXPERIMENT)
        found: str = known.experiment_id if known else client.create_experiment(EXPERIMENT)
        return found


@contextmanager
def mlflow_run(folder: Path) -> Iterator[tuple[MlflowClient, str]]:
    """Gives a client and the identifier of the folder's run, which mlflow_run_id.txt keeps.

    A folder without one gets one.

    Raises:
        OSError: If MLflow cannot be reached or refuses, in the body too; names the address.
    """
    with _reached(folder) as client:
        path = folder / RUN_ID
        if not path.is_file():
            run = client.create_run(mlflow_experiment(folder), run_name=folder.resolve().name)
            write_atomically(path, f"{run.info.run_id}\n")
        yield client, path.read_text(encoding="utf-8").strip()


@contextmanager
def _reached(folder: Path) -> Iterator[MlflowClient]:
    """Gives a client; what MLflow says against what is done with it becomes an OSError."""
    address = mlflow_address(folder)  # before MLflow is imported, which reads the environment
    from mlflow.exceptions import MlflowException

    try:
        yield open_mlflow(folder)
    except MlflowException as error:
        raise OSError(f"MLflow at {address} does not take the figures: {error}") from error


def mlflow_run_id(folder: Path) -> str:
    """Returns the identifier that `mlflow_run` gives; raises as it does."""
    with mlflow_run(folder) as (_, run_id):
        return run_id
