"""What can be checked of the container files without Docker: names, versions, options, paths."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from server.config import read_config
from server.triton.installation import TritonInstallation
from server.triton.process import TritonServer
from server.triton.repository import ENCODERS
from server.triton.settings import TritonSettings

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


def test_the_container_loads_what_the_launcher_loads(tmp_path: Path) -> None:
    server = TritonServer(
        TritonSettings(model_repository=tmp_path),
        TritonInstallation(binary=tmp_path / "tritonserver", backends=tmp_path),
    )
    text = joined_lines("triton.Dockerfile")

    assert "--model-control-mode=explicit" in server.command(tmp_path)
    assert "--model-control-mode=explicit" in text
    assert re.findall(r"--load-model=(\w+)", text) == list(ENCODERS)
    assert "--model-config-name=v${TWINSHELF_VERSION}" in text


def test_the_service_is_configured_by_variables_that_it_knows() -> None:
    pairs = re.findall(r"(TWINSHELF_\w+)=(\S+)", joined_lines("server.Dockerfile"))
    environment = dict(pairs) | services("compose.yaml")["server"]["environment"]

    config = read_config([], environment)

    assert config.address == "0.0.0.0:50051"
    assert config.triton == "triton:8001"
    assert config.catalogue == Path("/catalogue")


def test_the_compose_files_name_files_and_services_that_exist() -> None:
    for name, service in services("compose.yaml").items():
        context = (DEPLOY / service["build"]["context"]).resolve()
        assert context == PROJECT
        assert (context / service["build"]["dockerfile"]).is_file(), name
    assert "../../model_repository:/models:ro" in services("compose.yaml")["triton"]["volumes"]
    assert set(services("compose.gpu.yaml")) <= set(services("compose.yaml"))


def test_ports_are_published_to_this_machine_only() -> None:
    for service in services("compose.yaml").values():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_copied_files_are_let_through_by_the_ignore_file() -> None:
    ignore = read("server.Dockerfile.dockerignore").splitlines()
    copied = re.findall(r"^COPY (.+) \S+$", read("server.Dockerfile"), re.MULTILINE)
    for name in " ".join(copied).split():
        assert f"!{name.removeprefix('./')}" in ignore
