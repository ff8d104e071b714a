"""Plugins that log in, tokens and certificates that end, and the pod's own account."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.kube.credentials import found
from engine.kube.errors import KubeError
from engine.kube.exec_plugin import PluginError, credential, interactive
from engine.kube.expiry import certificate_expiry, token_expiry
from tests.support.programs import need

API = "client.authentication.k8s.io/v1"


def plugin(tmp_path: Path, script: str) -> dict[str, Any]:
    path = tmp_path / "login"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    return {"apiVersion": API, "command": "./login"}


def answer(token: str = "", **status: str) -> str:
    given = status | ({"token": token} if token else {})
    return f"echo '{json.dumps({'apiVersion': API, 'kind': 'ExecCredential', 'status': given})}'"


async def test_a_plugin_is_found_beside_its_kubeconfig_and_told_that_nobody_is_there(tmp_path: Path) -> None:
    script = """
        case "$KUBERNETES_EXEC_INFO" in *'"interactive": false'*) ;; *) exit 1 ;; esac
        [ "$REGION" = north ] || exit 2
    """
    spec = plugin(tmp_path, f"{script}\n" + answer("t0", expirationTimestamp="2030-01-01T00:00:00Z"))
    spec["env"] = [{"name": "REGION", "value": "north"}]
    answered = await credential(spec, str(tmp_path))
    assert (answered.token, answered.expires_at) == ("t0", 1893456000.0)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'no session, run login' >&2; exit 3", "ended with 3: no session, run login"),
        ("echo nothing", "answered no ExecCredential"),
        ("echo '[]'", "answered no ExecCredential"),
        (answer(), "neither a token nor a certificate"),
        ("sleep 60", "gave no answer within 0.3 s: does it wait for a login"),
        ("read line && echo $line", "ended with 1"),
    ],
)
async def test_a_plugin_that_gives_nothing_is_an_error_in_time(tmp_path: Path, script: str, said: str) -> None:
    with pytest.raises(PluginError, match=said):
        await credential(plugin(tmp_path, script), str(tmp_path), time_limit=0.3)


async def test_a_plugin_that_is_not_installed_says_how_to_get_it() -> None:
    spec = {"apiVersion": API, "command": "/nowhere/login", "installHint": "brew install login"}
    with pytest.raises(PluginError, match=r"can't be run: No such file or directory \(brew install login\)"):
        await credential(spec, "/")


@pytest.mark.parametrize(
    ("spec", "asks"),
    [
        ({"command": "aws", "args": ["eks", "get-token"]}, False),
        ({"command": "aws", "interactiveMode": "Always"}, True),
        ({"command": "kubectl", "args": ["oidc-login", "get-token"]}, True),
        ({"command": "kubelogin", "args": ["get-token", "--login", "devicecode"]}, True),
        ({"command": "kubelogin", "args": ["get-token", "--login", "workloadidentity"]}, False),
    ],
)
def test_logins_that_ask_a_person_are_known(spec: dict[str, Any], asks: bool) -> None:
    assert interactive(spec) is asks


def jwt(claims: object) -> str:
    coded = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"h.{coded}.s"


@pytest.mark.parametrize(
    ("token", "ends"),
    [(jwt({"exp": 1893456000}), 1893456000.0), (jwt({}), None), (jwt([]), None), ("opaque", None), ("a.%.c", None)],
)
def test_a_tokens_end_is_read_from_it(token: str, ends: float | None) -> None:
    assert token_expiry(token) == ends


@pytest.mark.parametrize("days", [1, 20000])
def test_a_certificates_end_is_read_from_it(tmp_path: Path, days: int) -> None:
    """Near ends are written as UTCTime, those after 2049 as GeneralizedTime."""
    need("openssl")
    certificate = tmp_path / "cert.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-subj", "/CN=ann", "-keyout", str(tmp_path / "key.pem"), "-out", str(certificate), "-days", str(days)),
        ],
        check=True,
        capture_output=True,
    )
    assert certificate_expiry(certificate) == pytest.approx(time.time() + days * 86400, abs=300)
    certificate.write_text("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----")
    assert certificate_expiry(certificate) is None
    assert certificate_expiry(tmp_path / "missing") is None


def kubeconfig(path: Path, user: dict[str, Any], *contexts: str) -> Path:
    config = {
        "current-context": contexts[0],
        "contexts": [
            {"name": name, "context": {"cluster": "c", "user": "ann", "namespace": name}} for name in contexts
        ],
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "ann", "user": user}],
    }
    path.write_text(yaml.safe_dump(config))
    return path


async def test_contexts_and_several_files_are_read_as_kubectl_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = kubeconfig(tmp_path / "first", {"token": "t1"}, "test")
    second = kubeconfig(tmp_path / "second", {"token": "t2"}, "production")
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join([str(first), str(tmp_path / "missing"), str(second)]))
    credentials = await found(None, "production")
    assert (credentials.namespace, credentials.who) == ("production", "user ann (context production)")
    assert await credentials.authorization() == "Bearer t1", "the first file's user of that name counts"


async def test_credentials_know_whether_they_are_renewed(tmp_path: Path) -> None:
    path = tmp_path / "config"
    fixed = await found(kubeconfig(path, {"token": jwt({"exp": 1893456000})}, "test"), None)
    assert (fixed.expires_at, fixed.renews, fixed.interactive) == (1893456000.0, False, False)
    again = await found(kubeconfig(path, {"exec": plugin(tmp_path, answer("t"))}, "test"), None)
    assert (again.expires_at, again.renews, again.interactive) == (None, True, False)
    asking = {**plugin(tmp_path, answer("t")), "interactiveMode": "Always"}
    asked = await found(kubeconfig(path, {"exec": asking}, "test"), None)
    assert (asked.renews, asked.interactive) == (False, True)


@pytest.mark.parametrize("content", ["", "[]", "{", "clusters: {}", "a: b"])
async def test_what_is_no_kubeconfig_is_said_with_its_name(tmp_path: Path, content: str) -> None:
    path = tmp_path / "config"
    path.write_text(content)
    with pytest.raises(KubeError, match="config can't be used"):
        await found(path, None)


async def test_a_pod_uses_its_own_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kubernetes.aio.config import incluster_config

    for name, content in (("token", f"{jwt({'exp': 1893456000})}\n"), ("ca.crt", "ca"), ("namespace", "shop")):
        (tmp_path / name).write_text(content)
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    credentials = await found(None, None)
    assert (credentials.server, credentials.namespace) == ("https://10.0.0.1:443", "shop")
    assert (credentials.expires_at, credentials.renews) == (1893456000.0, True)
    assert (await credentials.authorization()).split()[1] == jwt({"exp": 1893456000})
