"""deploy/kubernetes: what a real API server takes, under Pod Security `restricted`; what an engine reads in it."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.config import parse_engine_config
from tests.support.kube_world import Namespace

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
NAMED = "laneshift"
Object = dict[str, Any]
Change = Callable[[Object], object]


def objects(file: str) -> list[Object]:
    return list(yaml.safe_load_all((FOLDER / file).read_text()))


def deployment() -> Object:
    [found] = objects("deployment.yaml")
    return found


def pod(change: Change = lambda _: None) -> Object:
    """A pod as the Deployment makes them, changed."""
    template = copy.deepcopy(deployment()["spec"]["template"])
    change(template["spec"])
    return {"apiVersion": "v1", "kind": "Pod", **template, "metadata": {**template["metadata"], "name": NAMED}}


def test_every_file_is_part_of_it_or_says_why_not() -> None:
    [kustomization] = objects("kustomization.yaml")
    generated = [file for made in kustomization["configMapGenerator"] for file in made["files"]]
    by_hand = {"kustomization.yaml", "rolebinding.yaml", "secrets.example.yaml"}
    assert {path.name for path in FOLDER.iterdir()} == {*kustomization["resources"], *generated, *by_hand}


def test_an_engine_reads_its_configuration() -> None:
    config = parse_engine_config((FOLDER / "engine.yaml").read_bytes())
    [container] = deployment()["spec"]["template"]["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert config.listen is not None
    assert (config.listen.address, config.probes) == (f"0.0.0.0:{ports['api']}", f"0.0.0.0:{ports['probes']}")
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert {Path(config.listen.certificate).parent, Path(config.listen.key).parent} == {Path(mounts["tls"])}
    assert config.store == f"${{env:{container['env'][0]['name']}}}"


def test_no_secret_stands_in_the_example() -> None:
    assert all(not value for secret in objects("secrets.example.yaml") for value in secret["stringData"].values())


def test_the_container_is_what_the_deployment_runs() -> None:
    image = (FOLDER.parent / "container" / "Containerfile").read_text()
    spec = deployment()["spec"]["template"]["spec"]
    assert f"USER {spec['securityContext']['runAsUser']}:{spec['securityContext']['runAsGroup']}" in image
    [container] = spec["containers"]
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert "LANESHIFT_HOME=/var/lib/laneshift/" in image
    assert {"/var/lib/laneshift", "/etc/laneshift/engine.yaml"} <= mounts
    assert "LANESHIFT_ENGINE_CONFIG=/etc/laneshift/engine.yaml" in image


# --- on a real server


@pytest.fixture
def place(kube: Namespace) -> Namespace:
    """A namespace of the test's own that is as restricted as the one in the file."""
    [wanted] = objects("namespace.yaml")
    kube.world.api().apply({**wanted, "metadata": {**wanted["metadata"], "name": kube.name}})
    return kube


def created(place: Namespace, wanted: Object) -> str:
    """What the server says to it; nothing is kept."""
    return place.kubectl("apply", "--dry-run=server", "-f", "-", stdin=json.dumps(wanted))


@pytest.mark.real
def test_the_server_takes_all_of_it(place: Namespace, tmp_path: Path) -> None:
    here = shutil.copytree(FOLDER, tmp_path / "kubernetes") / "kustomization.yaml"
    here.write_text(here.read_text().replace(f"namespace: {NAMED}", f"namespace: {place.name}"))
    said = place.kubectl("apply", "--kustomize", str(here.parent), "--dry-run=server", "--validate=strict")
    assert {line.split("/")[0] for line in said.splitlines()} == {
        *("namespace", "serviceaccount", "configmap", "service", "deployment.apps"),
        *("poddisruptionbudget.policy", "networkpolicy.networking.k8s.io"),
    }
    assert "arning" not in said
    place.kubectl("apply", "-f", str(FOLDER / "rolebinding.yaml"), "--dry-run=server", "--validate=strict")


@pytest.mark.real
def test_its_pods_are_admitted_as_restricted(place: Namespace) -> None:
    assert created(place, pod()) == f"pod/{NAMED} created (server dry run)\n"


@pytest.mark.real
@pytest.mark.parametrize(
    "change",
    [
        lambda spec: spec["securityContext"].pop("runAsNonRoot"),
        lambda spec: spec["securityContext"].pop("seccompProfile"),
        lambda spec: spec["containers"][0]["securityContext"].pop("capabilities"),
        lambda spec: spec["containers"][0]["securityContext"].update(allowPrivilegeEscalation=True),
        lambda spec: spec.update(hostNetwork=True),
    ],
    ids=["as-root", "seccomp", "capabilities", "escalation", "host-network"],
)
def test_a_pod_with_less_is_refused(place: Namespace, change: Change) -> None:
    with pytest.raises(AssertionError, match='violates PodSecurity "restricted'):
        created(place, pod(change))


@pytest.mark.real
def test_its_account_may_do_in_a_namespace_what_the_role_there_says_and_nothing_else(kube: Namespace) -> None:
    kube.world.install("gateway-api")
    kube.kubectl(
        "apply", "-f", str(FOLDER.parent / "rbac" / "gateway_api.yaml"), "-f", str(FOLDER / "rolebinding.yaml")
    )
    account = f"--as=system:serviceaccount:{NAMED}:{NAMED}"

    def can(*what: str) -> bool:
        asked = kube.kubectl("auth", "can-i", "--list", "--no-headers", account)
        verb, resource = what
        return any(line.startswith(f"{resource} ") and verb in line for line in asked.splitlines())

    assert can("patch", "httproutes.gateway.networking.k8s.io")
    assert not can("patch", "pods")
    assert not can("get", "secrets")
