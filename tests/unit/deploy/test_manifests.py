"""Compose file, image and Kubernetes manifests agree with the services' settings and with each other."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.local.settings import LocalSettings
from services.alerts.settings import AlertSettings
from services.ingest.settings import IngestSettings
from services.scorer.settings import ScorerSettings
from shared.settings import ServiceSettings, variables

ROOT = Path(__file__).parents[3]
SETTINGS: tuple[type[ServiceSettings], ...] = (IngestSettings, ScorerSettings, AlertSettings)
EVERY_SETTINGS: tuple[type[ServiceSettings], ...] = (*SETTINGS, LocalSettings)
WORKLOADS = ("Deployment", "StatefulSet")


@pytest.fixture(scope="module")
def manifests() -> list[dict[str, Any]]:
    kubectl = Path(sys.executable).with_name("kubectl")
    built = subprocess.run([kubectl, "kustomize", "deploy/k8s"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [manifest for manifest in yaml.safe_load_all(built.stdout) if manifest]


def containers(manifests: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for manifest in manifests:
        if manifest["kind"] in WORKLOADS:
            yield from manifest["spec"]["template"]["spec"]["containers"]


@pytest.mark.parametrize(
    "name", ["Dockerfile", "docker-compose.yml", *(f"deploy/k8s/base/{name}.yaml" for name in ("settings", "scorer"))]
)
def test_every_variable_that_is_set_is_read_by_somebody(name: str) -> None:
    known = {variable.name for cls in EVERY_SETTINGS for variable in variables(cls)}
    text = (ROOT / name).read_text("utf-8")
    assert set(re.findall(r"CHURNWATCH_[A-Z_]+[A-Z]", text)) - known == set()


def test_every_secret_is_given_to_the_services_of_the_compose_file() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
    for name, cls in zip(("ingest", "scorer", "alerts"), SETTINGS, strict=True):
        required = {variable.name for variable in variables(cls) if variable.default is None and variable.secret}
        assert required <= set(services[name]["environment"]), name


def test_ports_of_the_compose_file_are_on_this_machine_only() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_pods_are_restricted_and_probed(manifests: list[dict[str, Any]]) -> None:
    found = list(containers(manifests))
    assert {container["name"] for container in found} == {"ingest", "scorer", "alerts"}
    for container in found:
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"]
        assert not security["allowPrivilegeEscalation"]
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_ports_of_the_pods_are_those_of_the_settings(manifests: list[dict[str, Any]]) -> None:
    [settings] = [manifest["data"] for manifest in manifests if manifest["kind"] == "ConfigMap"]
    for container in containers(manifests):
        assert settings[f"CHURNWATCH_{container['name'].upper()}_PORT"] == str(container["ports"][0]["containerPort"])


def test_nothing_passes_unless_allowed(manifests: list[dict[str, Any]]) -> None:
    policies = {manifest["metadata"]["name"]: manifest for manifest in manifests if manifest["kind"] == "NetworkPolicy"}
    assert policies["default-deny"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_the_image_carries_the_versions_that_were_tested() -> None:
    tested = pins(ROOT / "requirements.lock")
    carried = pins(ROOT / "deploy" / "image.lock")
    assert carried
    assert carried.items() <= tested.items()


def pins(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9._-]+)==([^ ]+)", path.read_text("utf-8"), flags=re.MULTILINE))
