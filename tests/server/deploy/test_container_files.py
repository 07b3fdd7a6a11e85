"""What can be checked of the container files without Docker: names, versions, options, paths."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from twinshelf.server.config import read_config
from twinshelf.server.triton.command import RESTRICTED, RESTRICTED_HEADER
from twinshelf.server.triton.repository import ENCODERS, PAIR_SCORER

PROJECT = Path(__file__).resolve().parents[3]
DEPLOY = PROJECT / "server" / "deploy"


def read(name: str) -> str:
    return (DEPLOY / name).read_text("utf-8")


def joined_lines(name: str) -> str:
    return re.sub(r"\\\n\s*", "", read(name))


def services(name: str) -> dict[str, Any]:
    return yaml.safe_load(read(name))["services"]


def test_triton_reads_photos_and_texts_with_the_versions_of_the_lock() -> None:
    lock = (PROJECT / "server" / "triton_backends" / "requirements.lock").read_text("utf-8")
    pinned = re.findall(r"(pillow|tokenizers)==(\S+)", read("triton.Dockerfile"))

    assert {name for name, _ in pinned} == {"pillow", "tokenizers"}
    for name, version in pinned:
        assert re.search(rf"^{name}=={re.escape(version)}\s", lock, re.MULTILINE)


def test_the_container_loads_what_the_launcher_loads() -> None:
    text = joined_lines("triton.Dockerfile")

    assert re.findall(r"--load-model=(\w+)", text) == [PAIR_SCORER, *ENCODERS]
    assert f"[ -f /models/{PAIR_SCORER}/configs/v${{TWINSHELF_VERSION}}.pbtxt ]" in text
    assert "--model-config-name=v${TWINSHELF_VERSION}" in text


def test_the_models_of_the_container_cannot_be_changed_by_callers() -> None:
    text = joined_lines("triton.Dockerfile")

    assert f"restricted={','.join(RESTRICTED)}:{RESTRICTED_HEADER}=$key" in text
    assert "--grpc-restricted-protocol=$restricted --http-restricted-api=$restricted" in text


def options_of_triton(**variables: str) -> str:
    """Returns what the image of Triton would start its server with."""
    (script,) = re.findall(r'CMD \["sh", "-c", (".*")\]', joined_lines("triton.Dockerfile"))
    shown = json.loads(script).replace("exec tritonserver", "echo")
    own = {"PATH": os.environ["PATH"], "TWINSHELF_VERSION": "1", "TWINSHELF_FIRST_PORT": "8000"}
    return subprocess.run(
        ["sh", "-c", shown], env=own | variables, capture_output=True, text=True, check=True
    ).stdout


def test_triton_adds_to_the_traces_of_the_service_where_a_collector_takes_them() -> None:
    url = services("compose.watched.yaml")["triton"]["environment"]["TWINSHELF_TRACE_URL"]
    receivers = yaml.safe_load(read("collector.yaml"))["receivers"]["otlp"]["protocols"]
    assert url == f"http://{receivers['http']['endpoint']}/v1/traces"
    service = services("compose.watched.yaml")["server"]["environment"]
    assert service["TWINSHELF_TRACE_ENDPOINT"] == receivers["grpc"]["endpoint"]

    assert re.findall(r"--trace-config=(\S+)", options_of_triton(TWINSHELF_TRACE_URL=url)) == [
        *("mode=opentelemetry", "rate=0", "count=-1", "level=TIMESTAMPS"),
        f"opentelemetry,url={url}",
    ]
    assert "trace-config" not in options_of_triton(TWINSHELF_TRACE_URL="")


def test_the_key_is_drawn_anew_by_each_start() -> None:
    answers = [options_of_triton() for _ in range(2)]

    keys = [re.findall(rf"{RESTRICTED_HEADER}=(\w+)", answer) for answer in answers]
    assert all(re.fullmatch("[0-9a-f]{32}", key) for pair in keys for key in pair)
    assert [len(pair) for pair in keys] == [2, 2]
    assert keys[0] != keys[1]


def test_triton_is_reached_through_the_matching_service_alone() -> None:
    text = joined_lines("triton.Dockerfile")
    triton, server = (services("compose.yaml")[name] for name in ("triton", "server"))
    beside = services("compose.beside.yaml")["other_triton"]

    assert re.findall(r"--(\w+)-address=(\S+?)[\s\"]", text) == [
        (name, "127.0.0.1") for name in ("grpc", "http", "metrics")
    ]
    assert server["network_mode"] == triton["network_mode"] == beside["network_mode"]
    assert "ports" not in triton and "ports" not in beside


@pytest.mark.parametrize("name", ["compose.yaml", "compose.beside.yaml", "compose.watched.yaml"])
def test_what_may_die_and_start_again_takes_no_network_from_the_others(name: str) -> None:
    assert "build" not in services("compose.yaml")["network"]
    for service, settings in services(name).items():
        if service == "network":
            assert settings.keys() <= {"image", "read_only", "ports", "restart"}
            assert all(port.startswith("127.0.0.1:") for port in settings["ports"])
        elif settings.keys() & {"build", "image"}:
            assert settings["network_mode"] == "service:network", service
            assert "ports" not in settings, service


def test_the_service_is_configured_by_variables_that_it_knows() -> None:
    pairs = re.findall(r"(TWINSHELF_\w+)=(\S+)", joined_lines("server.Dockerfile"))
    environment = dict(pairs) | services("compose.yaml")["server"]["environment"]

    config = read_config([], environment)

    assert config.address == "0.0.0.0:50051"
    assert config.triton == "127.0.0.1:8001"
    assert config.catalogue == Path("/catalogue")


def test_a_second_triton_has_ports_of_its_own_and_the_service_knows_them() -> None:
    beside = services("compose.beside.yaml")
    first = services("compose.yaml")["triton"]
    environment = {"TWINSHELF_TRITON": "127.0.0.1:8001"} | beside["server"]["environment"]
    first_port = int(beside["other_triton"]["environment"]["TWINSHELF_FIRST_PORT"])
    assert read_config([], environment).other_triton == f"127.0.0.1:{first_port + 1}"
    same = set(first) - {"environment"}
    assert all(beside["other_triton"][name] == first[name] for name in same)


def test_a_second_triton_in_the_pod_is_as_the_first() -> None:
    def containers(path: str) -> dict[str, dict[str, Any]]:
        found = yaml.safe_load(read(f"kubernetes/{path}/stateful_set.yaml"))
        return {each["name"]: each for each in found["spec"]["template"]["spec"]["containers"]}

    first, beside = containers("one_machine"), containers("second_encoder")
    variables = {each["name"]: each["value"] for each in beside["server"]["env"]}
    assert read_config([], variables).other_triton == "127.0.0.1:8011"
    for name in ("image", "resources", "securityContext", "volumeMounts"):
        assert beside["other-triton"][name] == first["triton"][name], name


def test_callers_reach_every_pod_on_milvus() -> None:
    patches = yaml.safe_load(read("kubernetes/milvus/kustomization.yaml"))["patches"]
    (change,) = (each for each in patches if each.get("target", {}).get("kind") == "Service")
    assert yaml.safe_load(change["patch"]) == [
        {"op": "add", "path": "/spec/clusterIP", "value": "None"}
    ]


def test_the_compose_files_name_files_and_services_that_exist() -> None:
    built = {n: each for n, each in services("compose.yaml").items() if "build" in each}
    assert set(built) == {"triton", "server"}
    for name, service in built.items():
        context = (DEPLOY / service["build"]["context"]).resolve()
        assert context == PROJECT
        assert (context / service["build"]["dockerfile"]).is_file(), name
    assert "../../model_repository:/models:ro" in services("compose.yaml")["triton"]["volumes"]
    assert set(services("compose.gpu.yaml")) <= set(services("compose.yaml"))


def test_only_the_service_is_published_and_to_this_machine_only() -> None:
    published = {n: each.get("ports") for n, each in services("compose.yaml").items()}
    assert published == {"network": ["127.0.0.1:50051:50051"], "triton": None, "server": None}


def test_copied_files_are_let_through_by_the_ignore_file() -> None:
    ignore = read("server.Dockerfile.dockerignore").splitlines()
    copied = re.findall(r"^COPY (.+) \S+$", read("server.Dockerfile"), re.MULTILINE)
    for name in " ".join(copied).split():
        assert f"!{name.removeprefix('./')}" in ignore
