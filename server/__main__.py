"""Starts the matching service.

python -m twinshelf.server --triton 127.0.0.1:8001 --catalogue .cache/catalogue
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING

import uvloop

from twinshelf.server.access.setup_error import AccessSetupError
from twinshelf.server.catalogue.rows.schema import CatalogueFileError
from twinshelf.server.config import MIB, ServerConfig, read_config
from twinshelf.server.errors import TwinshelfError
from twinshelf.server.telemetry.logs import configure_logging

if TYPE_CHECKING:
    from twinshelf.server.encoders.encoder import Encoder

logger = logging.getLogger("twinshelf.server")
# Threads that search would keep the interpreter for 5 ms each, while calls wait to be read.
_SWITCH_INTERVAL_S = 0.0005
# Calls make many small objects and no rings of them: to look for rings every 700 takes a twentieth
# of the time of a busy loop.
_GARBAGE_THRESHOLD = 20_000
# Photos come and go with every call, and glibc would give their pages back to the system each time.
# Its parameters by their numbers in malloc.h: M_TRIM_THRESHOLD, M_TOP_PAD and M_MMAP_THRESHOLD.
_MALLOC_SETTINGS = {-1: 256 * MIB, -2: 16 * MIB, -3: 32 * MIB}


def main() -> int:
    """Serves until SIGTERM or SIGINT. Returns the exit status."""
    config = read_config(sys.argv[1:], os.environ)
    tune_process()
    configure_logging(config.log_level, config.log_format)
    try:
        uvloop.run(serve(config))
    except (AccessSetupError, CatalogueFileError, OSError, TwinshelfError) as error:
        logger.error("%s", error)
        return 1
    return 0


def tune_process() -> None:
    """Fits threads, garbage collection and memory of this process to many short calls."""
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    gc.set_threshold(_GARBAGE_THRESHOLD)
    if set_option := getattr(ctypes.CDLL(None), "mallopt", None):
        for parameter, value in _MALLOC_SETTINGS.items():
            set_option(parameter, value)


async def serve(config: ServerConfig) -> None:
    """Serves until SIGTERM or SIGINT, then drains.

    Raises:
        AccessSetupError: If keys or certificates cannot be used, or the address needs them.
        CatalogueFileError: If the catalogue cannot be opened.
        EncoderContractError: If the local encoder cannot be loaded.
        OSError: If the address cannot be bound.
    """
    # Here, since it takes a while: a wrong value is told of at once.
    from twinshelf.server.serving import create_server

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    encoders = await _open_encoders(config)
    try:
        server, port = await create_server(config, *encoders)
        gc.freeze()  # what is there now stays; to look through it again and again finds nothing
        host = config.address.rpartition(":")[0]
        logger.info("listening on %s:%d; catalogue in %s", host, port, config.catalogue)
        await stop.wait()
        logger.info("stopping: running requests have %g s to end", config.drain_timeout_s)
        await server.stop()
    finally:
        await asyncio.gather(*(encoder.close() for encoder in encoders))


async def _open_encoders(config: ServerConfig) -> list[Encoder]:
    """Opens the first encoder and, where there is one, the second."""
    if config.encoder == "local":
        versions = [config.version, config.other_version][: 2 if config.other_version else 1]
        return [await _open_local(config, version) for version in versions]
    from twinshelf.server.encoders.triton_encoder import TritonEncoder

    places = [(config.triton, config.version), (config.other_triton, config.other_version)]
    return [
        await TritonEncoder.open(address, version=version, timeout_s=config.stuck_after_s)
        for address, version in places
        if address
    ]


async def _open_local(config: ServerConfig, version: int) -> Encoder:
    from twinshelf.server.encoders.local_encoder import LocalEncoder

    return await asyncio.to_thread(
        LocalEncoder,
        config.model_repository,
        version,
        thread_count=config.encoder_thread_count,
    )


if __name__ == "__main__":
    sys.exit(main())
