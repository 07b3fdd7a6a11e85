"""Alerts, dashboard and manifests name what there is: metrics, options, files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import generate_latest

from twinshelf.server.config import read_config
from twinshelf.server.telemetry.metrics import Metrics

DEPLOY = Path(__file__).resolve().parents[3] / "server" / "deploy"
MANIFESTS = sorted((DEPLOY / "kubernetes").rglob("*.yaml"))
_NAME = re.compile(r"\btwinshelf_[a-z_]+")
# Suffixes by which Prometheus calls the parts of a histogram, and the rows of a counter.
_PART = re.compile(r"_(count|sum|bucket|total)$")


def names_of_metrics() -> set[str]:
    text = generate_latest(Metrics().registry).decode()
    return {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE twinshelf_")}


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DEPLOY / "grafana" / "twinshelf.json").read_text("utf-8"))
    return found


def documents() -> Iterator[dict[str, Any]]:
    for path in MANIFESTS:
        yield from yaml.safe_load_all(path.read_text("utf-8"))


def test_alerts_and_dashboard_name_metrics_that_there_are() -> None:
    expressions = [rule["expr"] for rule in alerts()]
    expressions += [target["expr"] for each in dashboard()["panels"] for target in each["targets"]]
    known = names_of_metrics()
    known |= {_PART.sub("", name) for name in known}
    for name in set(_NAME.findall(" ".join(expressions))):
        assert name in known or _PART.sub("", name) in known, name


def test_times_of_requests_are_divided_by_requests_and_not_by_batches() -> None:
    (panel,) = (each for each in dashboard()["panels"] if "Triton (mean" in each["title"])
    (target,) = panel["targets"]
    assert _NAME.findall(target["expr"]) == [
        "twinshelf_triton_stage_seconds_total",
        "twinshelf_triton_requests_total",
    ]


def test_every_alert_says_what_to_do_and_is_tried() -> None:
    tried = yaml.safe_load((DEPLOY / "prometheus" / "alerts.test.yaml").read_text("utf-8"))["tests"]
    fired = {
        case["alertname"]
        for test in tried
        for case in test["alert_rule_test"]
        if case["exp_alerts"]
    }
    assert fired == {rule["alert"] for rule in alerts()}
    for rule in alerts():
        assert {"summary", "action"} == set(rule["annotations"])
        assert rule["labels"]["severity"] in ("page", "ticket")


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells


@pytest.mark.slow
def test_what_the_manifests_set_are_options_of_the_service() -> None:
    variables = {
        entry["name"]: entry["value"]
        for document in documents()
        if document["kind"] == "StatefulSet"
        for container in document["spec"]["template"]["spec"]["containers"]
        if container["name"] == "server"
        for entry in container["env"]
    }
    config = read_config([], variables)
    assert config.triton == "127.0.0.1:8001"
    assert str(config.catalogue).startswith("milvus:")


def test_a_kustomization_names_files_that_there_are() -> None:
    for path in MANIFESTS:
        if path.name == "kustomization.yaml":
            values = yaml.safe_load(path.read_text("utf-8"))
            patches = [each["path"] for each in values.get("patches", []) if "path" in each]
            for name in [*values.get("resources", []), *patches]:
                assert (path.parent / name).exists(), f"{path}: {name}"


def test_no_container_of_ours_has_rights_or_writes_to_its_image() -> None:
    containers = [
        (document["spec"]["template"]["spec"], container)
        for document in documents()
        if document["kind"] in ("StatefulSet", "Deployment") and "selector" in document["spec"]
        for container in document["spec"]["template"]["spec"]["containers"]
    ]
    assert len(containers) == 3
    for pod, container in containers:
        assert pod["securityContext"]["runAsNonRoot"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert "memory" in container["resources"]["limits"]


def test_what_the_pods_need_and_nothing_makes_is_told() -> None:
    folder = DEPLOY / "kubernetes" / "one_machine"
    made = {(each["kind"], each["metadata"]["name"]) for each in documents() if "metadata" in each}
    told = (folder / "kustomization.yaml").read_text("utf-8")
    manifests = "".join(path.read_text("utf-8") for path in folder.glob("*.yaml"))
    claims = set(re.findall(r"claimName: ([\w-]+)", manifests))
    secrets = set(re.findall(r"(?:secretName|secretKeyRef: {name): ([\w-]+)", manifests))
    missing = {name for name in claims if ("PersistentVolumeClaim", name) not in made} | secrets
    assert missing == {"twinshelf-models", "twinshelf-tls", "twinshelf-keys", "twinshelf-page-key"}
    for name in missing:
        assert name in told, name
    for name in ("tls.crt", "tls.key", "ca.crt", "keys.json", "key="):
        assert re.search(rf"--from-(file|literal) {re.escape(name)}", told), name


def test_images_hold_what_is_imported_in_them() -> None:
    folder = DEPLOY / "kubernetes"
    (kserve,) = yaml.safe_load_all((folder / "inference_service.yaml").read_text("utf-8"))
    (container,) = kserve["spec"]["predictor"]["containers"]
    name, _ = container["image"].split(":")
    build = f"docker build -f server/deploy/triton.Dockerfile -t {name} ."
    assert build in (DEPLOY / "triton.Dockerfile").read_text("utf-8")

    text = (folder / "milvus" / "kustomization.yaml").read_text("utf-8")
    (image,) = yaml.safe_load(text)["images"]
    comment = re.sub(r"\\\n#\s*", "", text)
    assert image["name"] == "twinshelf-server" != image["newName"]
    assert re.search(rf"EXTRAS=server,milvus .*-t {image['newName']}:", comment)


def test_secrets_are_laid_for_those_who_need_them_alone() -> None:
    secrets = {
        (document["metadata"]["name"], volume["name"]): volume["secret"]
        for document in documents()
        if document["kind"] in ("StatefulSet", "Deployment")
        for volume in document["spec"]["template"]["spec"].get("volumes", [])
        if "secret" in volume
    }
    for name in ("tls", "keys"):
        assert secrets.pop(("twinshelf", name))["defaultMode"] == 0o440
    # The page is no server: it needs the authority's certificate, and no private key.
    (of_page,) = secrets.values()
    assert of_page["items"] == [{"key": "ca.crt", "path": "ca.crt"}]


@pytest.mark.parametrize("name", ["compose.yaml", "compose.watched.yaml"])
def test_compose_mounts_files_that_there_are(name: str) -> None:
    services = yaml.safe_load((DEPLOY / name).read_text("utf-8"))["services"]
    for service in services.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (DEPLOY / source).exists(), source
        if "build" in service:
            assert (DEPLOY / "../.." / service["build"]["dockerfile"]).is_file()
