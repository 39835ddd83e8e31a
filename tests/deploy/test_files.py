"""The files in deploy/ say what they must, and nothing in them is root or open to the network."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from configs.settings import Settings
from monitors.telemetry.generate import CHECKOUT
from tests.tools.prometheus import TOOLS

DEPLOY = CHECKOUT / "deploy"
SCHEMA = TOOLS / "usr/lib/python3/dist-packages/compose/config/compose_spec.json"
COMMAND = ["weir", "up", "--config", "/etc/weir/weir.yaml", "--data", "/var/lib/weir"]
KUBERNETES = "1.31.0"


def load(path: str) -> Any:
    """A YAML file of deploy/."""
    return yaml.safe_load((DEPLOY / path).read_text(encoding="utf-8"))


COMPOSE = load("compose.yaml")
SERVICES = COMPOSE["services"]
EVERY_SERVICE = pytest.mark.parametrize("name", SERVICES)
CONFIG_MAP, CLAIM, RAY_SERVICE = yaml.safe_load_all(
    (DEPLOY / "kuberay/rayservice.yaml").read_text()
)
HEAD = RAY_SERVICE["spec"]["rayClusterConfig"]["headGroupSpec"]["template"]
CONTAINERFILE = (DEPLOY / "Containerfile").read_text(encoding="utf-8")


@pytest.mark.deploy
def test_the_compose_file_fits_its_schema() -> None:
    """The Compose specification's own JSON schema accepts the file."""
    assert SCHEMA.exists(), f"{SCHEMA.name} is missing: run scripts/install-prometheus"
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    validator = jsonschema.Draft7Validator(schema)
    plain = {key: value for key, value in COMPOSE.items() if not key.startswith("x-")}
    assert [error.message for error in validator.iter_errors(plain)] == []
    assert list(validator.iter_errors({"services": {"gateway": {"imagee": "weir"}}}))


@EVERY_SERVICE
def test_no_service_is_root(name: str) -> None:
    """Every service names an ordinary user by number, and can gain no rights."""
    service = SERVICES[name]
    assert int(service["user"]) > 0
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert not service.get("privileged", False)


@EVERY_SERVICE
def test_nothing_is_published_beyond_loopback(name: str) -> None:
    """What is published is published on 127.0.0.1, and only the owner of the network does so."""
    service = SERVICES[name]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    if name != "gateway":
        assert service["network_mode"] == "service:gateway"
        assert "ports" not in service


@EVERY_SERVICE
def test_every_image_has_a_version(name: str) -> None:
    """No service runs whatever happens to be the latest."""
    assert re.fullmatch(r"[\w/-]+:v?\d+\.\d+\.\d+", SERVICES[name]["image"])


@EVERY_SERVICE
def test_what_is_mounted_exists(name: str) -> None:
    """Files come from deploy/, read-only; everything else is a named volume."""
    for volume in SERVICES[name]["volumes"]:
        source, _, rest = volume.partition(":")
        if source.startswith("."):
            assert (DEPLOY / source).exists()
            assert rest.endswith(":ro")
        else:
            assert source in COMPOSE["volumes"]


def test_the_image_runs_the_gateway_as_an_ordinary_user() -> None:
    """The last user is a number that is not root, and the command is `weir up`."""
    lines = CONTAINERFILE.splitlines()
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    command = next(line for line in lines if line.startswith("CMD "))
    assert int(users[-1]) > 0
    assert not any(line.startswith("RUN ") for line in lines[lines.index(f"USER {users[-1]}") :])
    assert json.loads(command.removeprefix("CMD ")) == COMMAND


def test_the_image_takes_dependencies_by_hash() -> None:
    """Nothing is installed that the lock file does not name with its hash."""
    folded = CONTAINERFILE.replace("\\\n", " ")
    for line in re.findall(r"pip install (.*)", folded):
        assert "--require-hashes --requirement" in line or "--no-deps --no-index" in line
    assert "requirements.lock" in folded


def test_the_settings_in_the_container_are_valid() -> None:
    """The gateway accepts the configuration files that ship for containers."""
    inside = Settings.model_validate(load("weir.yaml"))
    Settings.model_validate(yaml.safe_load(CONFIG_MAP["data"]["weir.yaml"]))
    assert inside.telemetry.otlp_endpoint == "http://127.0.0.1:4317"


def test_services_meet_on_the_ports_that_they_listen_on() -> None:
    """Exporter, collector, Prometheus, Grafana and gateway agree on their addresses."""
    settings = Settings.model_validate(load("weir.yaml"))
    receivers = load("collector/collector.yaml")["receivers"]["otlp"]["protocols"]
    (job,) = load("prometheus/prometheus.yml")["scrape_configs"]
    (source,) = load("grafana/provisioning/datasources/weir.yaml")["datasources"]
    (provider,) = load("grafana/provisioning/dashboards/weir.yaml")["providers"]
    assert f"http://{receivers['grpc']['endpoint']}" == settings.telemetry.otlp_endpoint
    assert job["job_name"] == "weir"
    assert job["static_configs"] == [{"targets": [f"127.0.0.1:{settings.listen.control_port}"]}]
    assert source["url"] == "http://127.0.0.1:9090"
    mounted = [volume.split(":")[1] for volume in SERVICES["grafana"]["volumes"]]
    assert f"{provider['options']['path']}/weir.json" in mounted


def test_the_collector_uses_what_it_defines() -> None:
    """Every part of every pipeline is defined, all that is defined is used, all on loopback."""
    config = load("collector/collector.yaml")
    pipelines = config["service"]["pipelines"].values()
    for kind in ("receivers", "processors", "exporters"):
        assert {part for pipeline in pipelines for part in pipeline[kind]} == set(config[kind])
    for protocol in config["receivers"]["otlp"]["protocols"].values():
        assert protocol["endpoint"].startswith("127.0.0.1:")


@pytest.mark.parametrize(
    "manifest",
    [
        pytest.param(CONFIG_MAP, id="ConfigMap"),
        pytest.param(CLAIM, id="PersistentVolumeClaim"),
        pytest.param(
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "head"}, "spec": HEAD["spec"]},
            id="head pod",
        ),
    ],
)
def test_manifests_fit_the_schemas_of_kubernetes(manifest: dict[str, object]) -> None:
    """Kubernetes would accept every object and the pod that KubeRay makes of the template."""
    kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_a_wrong_manifest_would_be_seen() -> None:
    """The schemas are strict: a key that does not exist is refused."""
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**CLAIM, "spek": {}}, KUBERNETES, strict=True)


def test_the_pod_runs_the_gateway_as_an_ordinary_user() -> None:
    """The pod refuses root, drops every capability, and runs `weir up` on its own data."""
    (container,) = HEAD["spec"]["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert HEAD["spec"]["securityContext"]["runAsNonRoot"] is True
    assert HEAD["spec"]["securityContext"]["runAsUser"] > 0
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["command"] + container["args"] == COMMAND
    assert (mounts["config"], mounts["data"]) == (str(Path(COMMAND[3]).parent), COMMAND[5])
    assert HEAD["metadata"]["annotations"] == {"ray.io/overwrite-container-cmd": "true"}


def test_two_gateways_never_share_their_data() -> None:
    """An upgrade does not start a second cluster beside the one that owns the volume."""
    assert RAY_SERVICE["spec"]["upgradeStrategy"] == {"type": "None"}
    assert CLAIM["spec"]["accessModes"] == ["ReadWriteOnce"]
