"""What can be checked of the container files without Docker: names, versions, options, paths."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from twinshelf.server.bulk.commands import embed
from twinshelf.server.command_line import read_command_line
from twinshelf.server.config import read_config
from twinshelf.server.triton.__main__ import TritonOptions
from twinshelf.server.triton.canary import CANARIES
from twinshelf.server.triton.installation import TRITONSERVER_VARIABLE
from twinshelf.server.triton.triton_config import TritonConfig

PROJECT = Path(__file__).resolve().parents[3]
DEPLOY = PROJECT / "server" / "deploy"
PYTHON = "/opt/twinshelf/bin/python"


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


def options_of(words: list[str]) -> TritonOptions:
    """Returns how a command line of a container starts the launcher."""
    assert words[:3] == [PYTHON, "-m", "twinshelf.server.triton"]
    return read_command_line(TritonOptions, "twinshelf.server.triton", words[3:])


def options_of_triton(**variables: str) -> TritonOptions:
    """Returns how the image of Triton starts the launcher, with these variables beside its own."""
    text = joined_lines("triton.Dockerfile")
    own = dict(re.findall(r"^ENV (TWINSHELF_\w+)=(\S*)$", text, re.MULTILINE))
    (script,) = re.findall(r'CMD \["sh", "-c", (".*")\]', text)
    shown = json.loads(script).replace("exec ", "printf '%s\\n' ")
    told = subprocess.run(
        ["sh", "-c", shown],
        env={"PATH": os.environ["PATH"], **own, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return options_of(told.stdout.splitlines())


def test_the_container_runs_the_launcher_which_checks_what_it_serves_and_heals_it() -> None:
    options = options_of_triton(TWINSHELF_VERSION="3", TWINSHELF_FIRST_PORT="8010")

    # All else is as `make triton` has it: the models, loopback, how soon it is started again.
    assert options == TritonOptions(
        model_repository=Path("/models"),
        version=3,
        http_port=8010,
        grpc_port=8011,
        metrics_port=8012,
        log_file=Path("/tmp/triton-8010.log"),
    )
    text = joined_lines("triton.Dockerfile")
    (extra,) = re.findall(r'"\.\[(\w+)\]"', text)
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
    assert extra in project["optional-dependencies"]
    # Models run with the packages of the server's own Python, among them another numpy.
    (environment,) = re.findall(r"uv venv .* (/\S+)", text)
    assert PYTHON == f"{environment}/bin/python"
    assert f"{TRITONSERVER_VARIABLE}=/opt/tritonserver/bin/tritonserver" in text


def test_kserve_runs_the_launcher_where_it_mounts_the_models() -> None:
    predictor = yaml.safe_load(read("kubernetes/inference_service.yaml"))["spec"]["predictor"]
    (container,) = predictor["containers"]
    (port,) = container["ports"]

    options = options_of(container["args"])

    assert (options.model_repository, options.version) == (Path("/mnt/models"), 1)
    assert (options.host, options.grpc_port) == ("0.0.0.0", port["containerPort"])
    assert {"name": "STORAGE_URI", "value": "pvc://twinshelf-models"} in container["env"]


@pytest.mark.parametrize(
    ("name", "service"), [("compose.yaml", "triton"), ("compose.beside.yaml", "other_triton")]
)
def test_a_container_of_triton_may_stop_in_order_and_is_started_again(
    name: str, service: str
) -> None:
    settings = services(name)[service]
    longest_s = TritonConfig(model_repository=Path()).stop_timeout_s
    assert float(settings["stop_grace_period"].removesuffix("s")) > longest_s
    assert settings["restart"] == "unless-stopped"  # when the launcher gives it up


def test_triton_adds_to_the_traces_of_the_service_where_a_collector_takes_them() -> None:
    url = services("compose.watched.yaml")["triton"]["environment"]["TWINSHELF_TRACE_URL"]
    receivers = yaml.safe_load(read("collector.yaml"))["receivers"]["otlp"]["protocols"]
    assert url == f"http://{receivers['http']['endpoint']}/v1/traces"
    service = services("compose.watched.yaml")["server"]["environment"]
    assert service["TWINSHELF_TRACE_ENDPOINT"] == receivers["grpc"]["endpoint"]

    assert options_of_triton(TWINSHELF_TRACE_URL=url).trace_url == url
    assert not options_of_triton().trace_url


def test_triton_is_reached_through_the_matching_service_alone() -> None:
    triton, server = (services("compose.yaml")[name] for name in ("triton", "server"))
    beside = services("compose.beside.yaml")["other_triton"]

    assert options_of_triton().host == "127.0.0.1"
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
    for name in ("image", "resources", "securityContext"):
        assert beside["other-triton"][name] == first["triton"][name], name
    volumes = [
        {mount["mountPath"]: mount["name"] for mount in triton["volumeMounts"]}
        for triton in (first["triton"], beside["other-triton"])
    ]
    assert volumes[0].keys() == volumes[1].keys()
    # Half a gigabyte each would be less than the compose files give them, and more ends the pod.
    assert volumes[0]["/dev/shm"] != volumes[1]["/dev/shm"]


def test_milvus_is_told_by_its_chart_what_the_catalogue_needs_of_it() -> None:
    values = yaml.safe_load(read("milvus_values.yaml"))
    told = yaml.safe_load(values["extraConfigFiles"]["user.yaml"])
    guide = (PROJECT / "server" / "README.md").read_text("utf-8")
    leaves = {}
    pending = [("", told)]
    while pending:
        path, value = pending.pop()
        if isinstance(value, dict):
            pending += [(f"{path}.{name}".lstrip("."), each) for name, each in value.items()]
        else:
            leaves[path] = value
    assert len(leaves) == 3
    for path, value in leaves.items():
        assert f"`{path}: {json.dumps(value)}`" in guide, path


def test_the_job_of_ray_is_a_command_with_the_ray_of_the_lock() -> None:
    job = yaml.safe_load(read("kubernetes/bulk/ray_job.yaml"))["spec"]
    name, command, *words = job["entrypoint"].split()
    app = typer.Typer()
    app.command()(embed)
    options = {option for each in typer.main.get_command(app).params for option in each.opts}
    assert (name, command) == ("twinshelf", "embed")
    assert {word for word in words if word.startswith("--")} <= options

    version = job["rayClusterSpec"]["rayVersion"]
    lock = (PROJECT / "tests" / "server" / "bulk" / "requirements.lock").read_text("utf-8")
    assert f"ray=={version} " in lock
    assert f"FROM rayproject/ray:{version}-py311" in read("bulk.Dockerfile")


@pytest.mark.parametrize("folder", ["one_machine", "second_encoder"])
def test_kubernetes_asks_triton_for_an_embedding_as_the_canary_does(folder: str) -> None:
    pod = yaml.safe_load(read(f"kubernetes/{folder}/stateful_set.yaml"))["spec"]["template"]["spec"]
    (triton,) = (each for each in pod["containers"] if each.get("image") == "twinshelf-triton")
    command = triton["livenessProbe"]["exec"]["command"]
    asked = json.loads(command[command.index("--data") + 1])["inputs"]
    (canary,) = (each for each in CANARIES if command[-1].endswith(f"/{each.ensemble}/infer"))
    assert {each["name"]: each["data"] for each in asked} == {
        name: [text.decode() for text in value.ravel()] for name, value in canary.inputs.items()
    }


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


@pytest.mark.parametrize("image", ["bulk", "page", "server", "triton"])
def test_copied_files_are_let_through_by_the_ignore_file(image: str) -> None:
    ignore = read(f"{image}.Dockerfile.dockerignore").splitlines()
    copied = re.findall(r"^COPY (.+) \S+$", read(f"{image}.Dockerfile"), re.MULTILINE)
    assert copied
    for name in " ".join(copied).split():
        assert f"!{name.removeprefix('./')}" in ignore
