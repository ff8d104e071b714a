"""Users of the tests' API server, and kubeconfig files that log in as them in the ways people do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ADMIN = "admin"
CONTROLLERS = "controllers"
PLAIN = tuple(f"rbac-{number}" for number in range(10))
"""Users who may do nothing but what a test grants them."""
EXPIRED = "a-token-nobody-has"


def token_of(user: str) -> str:
    """What the server takes as this user's password at first."""
    return f"token-of-{user}"


def token_lines(renewed: Mapping[str, str]) -> str:
    """The server's --token-auth-file; `renewed` has the tokens of users whose first one is no longer taken."""
    tokens = {user: token_of(user) for user in (ADMIN, CONTROLLERS, *PLAIN)} | dict(renewed)
    lines = [
        f"{token},{user},{user}" + ("" if user in PLAIN else ',"system:masters"') for user, token in tokens.items()
    ]
    return "\n".join(lines) + "\n"


def kubeconfig(server: str, ca: Path, login: Mapping[str, Any], namespace: str = "default", user: str = "user") -> str:
    """The text of a kubeconfig with one context, `test`; `login` is what stands under `user`."""
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": user, "namespace": namespace}}],
            "clusters": [{"name": "test", "cluster": {"server": server, "certificate-authority": str(ca)}}],
            "users": [{"name": user, "user": dict(login)}],
        },
        sort_keys=False,
    )


@dataclass
class ExecLogin:
    """An exec plugin as cloud providers have: a script that prints a credential, and notes that it was called."""

    directory: Path

    def say(self, token: str, expires: str = "") -> None:
        """What it prints from now on; `expires` is RFC 3339, empty says nothing of it."""
        status = {"token": token} | ({"expirationTimestamp": expires} if expires else {})
        said = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
        (self.directory / "credential.json").write_text(json.dumps(said))

    def fail(self) -> None:
        """From now on it prints nothing and ends with 1."""
        (self.directory / "credential.json").unlink()

    @property
    def calls(self) -> int:
        """How often it was run."""
        noted = self.directory / "calls"
        return len(noted.read_text().splitlines()) if noted.exists() else 0

    def login(self, interactive: str = "Never") -> dict[str, Any]:
        """What stands under `user` in a kubeconfig."""
        return {
            "exec": {
                "apiVersion": "client.authentication.k8s.io/v1",
                "command": str(self._script()),
                "interactiveMode": interactive,
            }
        }

    def _script(self) -> Path:
        script = self.directory / "login"
        script.write_text('#!/bin/sh\ncd "$(dirname "$0")" || exit 1\necho called >> calls\nexec cat credential.json\n')
        script.chmod(0o755)
        return script


def role(name: str, *rules: Mapping[str, Any]) -> dict[str, Any]:
    """A Role: {"apiGroups", "resources", "verbs"} and "resourceNames" each."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": name},
        "rules": [dict(rule) for rule in rules],
    }


def binding(name: str, user: str, kind: str = "Role") -> dict[str, Any]:
    """A RoleBinding of a user to a Role, or to a ClusterRole, of this name."""
    group = "rbac.authorization.k8s.io"
    return {
        "apiVersion": f"{group}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": f"{name}-{user}"},
        "roleRef": {"apiGroup": group, "kind": kind, "name": name},
        "subjects": [{"kind": "User", "apiGroup": group, "name": user}],
    }
