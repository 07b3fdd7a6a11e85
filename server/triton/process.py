"""A `tritonserver` process of our own: started, watched, stopped, never left behind."""

from __future__ import annotations

import contextlib
import dataclasses
import http
import http.client
import logging
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from tritonclient.grpc.model_config_pb2 import ModelConfig

from twinshelf.server.triton.child_processes import children, is_alive
from twinshelf.server.triton.command import server_command, tied_to_this_process
from twinshelf.server.triton.installation import TritonInstallation, find_triton
from twinshelf.server.triton.plan import write_plan
from twinshelf.server.triton.private_copy import PrivateFolder, copy_models, make_private_folder
from twinshelf.server.triton.repository import (
    RepositoryError,
    check_version,
    config_path,
    read_config,
)
from twinshelf.server.triton.triton_config import TritonConfig, free_ports, listen

logger = logging.getLogger(__name__)

_POLL_S: Final = 0.05
_LAST_LINES: Final = 400
_TAIL_BYTES: Final = 1 << 17
_MODELS: Final = "models"
# How often others are taken, where free ports were asked for and are taken by then.
_FURTHER_PORTS: Final = 3
_TAKEN: Final = "already in use"
# Triton's log says so when no request is under way any more; the last answers are being sent.
_UNLOADING: Final = "All models are stopped, unloading models"
_SENDING_S: Final = 0.2
# "failed to load 'fusion' version 1: ..." and "Poll failed for model directory 'fusion': ..."
_LOAD_FAILURE: Final = re.compile(
    r'^E.*\] "((?:failed to load|Poll failed for) .*)"$', re.MULTILINE
)


class TritonStartError(RuntimeError):
    """Triton did not become ready; the message ends with the end of its log."""


class TritonServer:
    """One `tritonserver` process, from start to stop; also a context manager.

    It ends with the process that started it (to be exact: with the thread that called `start`).
    It can be started again after `stop` or `kill`, on the same ports.
    """

    def __init__(
        self, config: TritonConfig, installation: TritonInstallation | None = None
    ) -> None:
        """Chooses the ports; starts nothing.

        Args:
            config: What to serve, and where.
            installation: The server to run; found on this machine by default.

        Raises:
            RepositoryError: If the repository lacks the version.
            TritonNotFoundError: If there is no usable server.
        """
        if config.version is not None:
            check_version(config.model_repository, config.version, config.models)
        self._installation = installation or find_triton()
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: PrivateFolder | None = None
        self._backends, self._environment = Path(), dict[str, str]()
        self._log_start = 0
        self._launch_count = 0
        self._shm_prefix = ""
        self._stated = config
        self._choose_ports()

    @property
    def grpc_address(self) -> str:
        """Host and port of gRPC."""
        return f"{self._config.host_of_grpc}:{self._config.grpc_port}"

    @property
    def http_address(self) -> str:
        """Host and port of HTTP."""
        return f"{self._config.host}:{self._config.http_port}"

    @property
    def metrics_address(self) -> str:
        """Host and port of the Prometheus metrics, which are at /metrics."""
        return f"{self._config.host}:{self._config.metrics_port}"

    @property
    def pid(self) -> int | None:
        """Process id of the running server, or None."""
        return self._process.pid if self.is_running and self._process else None

    @property
    def is_running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def dead_model_count(self) -> int:
        """Number of Python models whose process has died.

        Server 2.51 starts none of them again, answers INTERNAL for them from then on, and yet
        says that it and they are ready.
        """
        pid = self.pid
        return 0 if pid is None else sum(not is_alive(child) for child in children(pid))

    def read_config(self, model: str) -> ModelConfig:
        """Returns the configuration that a model of the version is served with.

        Raises:
            RepositoryError: If it is not served.
        """
        if self._folder is None or self._config.version is None:
            raise RepositoryError(f"{model} is not served with the configuration of a version")
        return read_config(config_path(self._folder.path / _MODELS, model, self._config.version))

    def start(self) -> None:
        """Starts the server and returns when all models are loaded, warm and ready.

        What it serves is a copy of the models, made and checked by the first start and kept until
        `stop`: a start after `kill` serves the very same.

        Raises:
            RepositoryError: If a file of the version is not what was published.
            PrivateFolderError: If there is no place for the copy.
            TritonStartError: If a port is taken, a model does not load, or it takes too long.
        """
        if self.is_running:
            raise TritonStartError("Triton is running already")
        is_first = self._folder is None
        try:
            folder = self._folder.path if self._folder else self._prepare()
            for _ in range(_FURTHER_PORTS if is_first else 0):
                try:
                    self._launch(folder)
                    return
                except TritonStartError as error:
                    if self._config == self._stated or _TAKEN not in str(error):
                        raise
                self.kill()
                self._choose_ports()  # another program took one that was free
            self._launch(folder)
        except BaseException:
            if is_first:
                self.stop()
            else:
                self.kill()
            raise

    def stop(self) -> None:
        """Stops the server once it has answered all requests, or after a time. Safe to repeat."""
        if self._process is not None:
            if self.is_running:
                self._process.terminate()
                if not self._has_answered_all(time.monotonic() + self._config.stop_timeout_s):
                    logger.warning("Triton did not stop in time and is killed")
            self.kill()
        if self._folder is not None:
            self._folder.remove()
            self._folder = None

    def kill(self) -> None:
        """Ends the server and its Python models at once, as a crash would. Safe to repeat."""
        if self._process is None:
            return
        # The server leads a session of its own, so that its group is it and its Python stubs.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        # In a container the launcher is the parent of what has lost its own.
        with contextlib.suppress(ChildProcessError):
            while True:
                os.waitpid(-self._process.pid, 0)
        for leftover in Path("/dev/shm").glob(f"{self._shm_prefix}*"):
            leftover.unlink(missing_ok=True)
        self._process = None

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Waits for the server to end; returns its exit status, or None at the timeout."""
        if self._process is None:
            return None
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def log_tail(self, line_count: int = 20) -> str:
        """Returns the last lines of the log of this start."""
        try:
            with self._log_path().open("rb") as log:
                log.seek(max(self._log_start, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
                lines = log.read().decode("utf-8", "replace").splitlines()
        except OSError:
            return ""
        # Triton prints tables of its options as it gives up: no help to anyone.
        told = [line for line in lines if line.strip() and not line.startswith(("|", "+--"))]
        return "\n".join(told[-line_count:])

    def __enter__(self) -> Self:
        """Starts the server."""
        self.start()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stops the server."""
        self.stop()

    def _choose_ports(self) -> None:
        """Takes the stated ports, with free ones for those that are 0."""
        stated = self._stated
        grpc_port, http_port, metrics_port = free_ports(
            stated.host, (stated.grpc_port, stated.http_port, stated.metrics_port)
        )
        self._config = dataclasses.replace(
            stated, grpc_port=grpc_port, http_port=http_port, metrics_port=metrics_port
        )

    def _prepare(self) -> Path:
        """Makes the folder that the server is started from, with the models checked."""
        self._folder = make_private_folder()
        folder = self._folder.path
        self._backends = self._installation.make_backends(folder)
        self._environment = self._installation.make_environment(folder)
        config = self._config
        copy_models(config.model_repository, config.models, config.version, folder / _MODELS)
        if config.plan is not None and config.version is not None:
            write_plan(
                config.plan,
                folder / _MODELS,
                config.version,
                mixes_shapes=self._installation.has_our_backend,
            )
        return folder

    def _launch(self, folder: Path) -> None:
        self._check_ports()
        self._launch_count += 1
        # New names for each launch: what a killed server left cannot meet its successor.
        self._shm_prefix = f"twinshelf_{os.getpid()}_{self._config.grpc_port}_{self._launch_count}_"
        command = server_command(
            self._config,
            binary=self._installation.binary,
            backends=self._backends,
            models=folder / _MODELS,
            shm_prefix=self._shm_prefix,
        )
        with self._open_log() as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                tied_to_this_process(command),
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C goes to the launcher alone, which then stops the server in order.
                start_new_session=True,
            )
        self._wait_until_ready()

    def _has_answered_all(self, deadline_s: float) -> bool:
        """Waits until the server has ended, or has only its models to unload, which takes 3 s."""
        while self.is_running:
            if _UNLOADING in self.log_tail(_LAST_LINES):
                self.wait(_SENDING_S)
                return True
            if time.monotonic() > deadline_s:
                return False
            time.sleep(_POLL_S)
        return True

    def _open_log(self) -> BinaryIO:
        path = self._log_path()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return path.open("ab")
        except OSError as error:
            raise TritonStartError(f"the log {path} cannot be written: {error.strerror}") from error

    def _check_ports(self) -> None:
        config = self._config
        places = {
            "grpc-port": (config.host_of_grpc, config.grpc_port),
            "http-port": (config.host, config.http_port),
            "metrics-port": (config.host, config.metrics_port),
        }
        for name, (host, port) in places.items():
            try:
                listen(host, port).close()
            except OSError as error:
                raise TritonStartError(
                    f"cannot listen on {host}:{port} ({error.strerror}): stop what "
                    f"uses it, or choose another port with --{name}"
                ) from error

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + self._config.ready_timeout_s
        while not self._is_ready():
            if not self.is_running:
                raise TritonStartError(f"Triton did not start. {self._reason()}")
            if time.monotonic() > deadline:
                raise TritonStartError(
                    f"Triton was not ready after {self._config.ready_timeout_s:g} s. "
                    f"Its log ends:\n{self.log_tail()}"
                )
            time.sleep(_POLL_S)

    def _reason(self) -> str:
        # What is told of the copy is true of the repository, which the reader knows.
        repository = str(self._config.model_repository)
        copy = str(self._folder.path / _MODELS) if self._folder else repository
        tail = self.log_tail(_LAST_LINES).replace(copy, repository)
        if failed := _LOAD_FAILURE.findall(tail):
            return "It says:\n" + "\n".join(reason.split("\\n")[0] for reason in failed)
        # All that matters stands behind this, if Triton came to say it.
        _, found, reason = tail.rpartition("error: creating server: ")
        if found:
            return f"It says:\n{reason}"
        return "Its log ends:\n" + "\n".join(tail.splitlines()[-20:])

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection(
            self._config.host, self._config.http_port, timeout=2
        )
        try:
            connection.request("GET", "/v2/health/ready")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _log_path(self) -> Path:
        if self._config.log_path is not None:
            return self._config.log_path
        if self._folder is None:
            raise FileNotFoundError("the log is gone with the server's temporary folder")
        return self._folder.path / "triton.log"
