"""Credentials from a program that a kubeconfig names (client.authentication.k8s.io ExecCredential).

The kubernetes package runs such a program too, but without a time limit, on the terminal's input, and swallows what
went wrong; an engine without a terminal must neither hang on a login page nor go on as nobody.
https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

TIME_LIMIT_S: Final = 30.0
_LOGINS: Final = ("oidc-login", "devicecode", "interactive", "tsh")


class PluginError(Exception):
    """The program gave no credentials; says what it said."""


@dataclass(frozen=True, slots=True)
class ExecCredential:
    """What the program answered. `expires_at` in seconds since the epoch, None when it does not say."""

    token: str
    certificate: str
    key: str
    expires_at: float | None


def interactive(spec: Mapping[str, Any]) -> bool:
    """May it ask a person to log in? Then an engine alone can't renew its credentials."""
    words = [str(spec.get("command", "")), *map(str, spec.get("args") or ())]
    return spec.get("interactiveMode") == "Always" or any(login in word for word in words for login in _LOGINS)


async def credential(spec: Mapping[str, Any], base: str, time_limit: float = TIME_LIMIT_S) -> ExecCredential:
    """Run the program; `base` is the folder that a relative path of it starts from. Raises PluginError."""
    command = _command(spec, base)
    environment = {str(each["name"]): str(each["value"]) for each in spec.get("env") or ()}
    about = {"apiVersion": spec.get("apiVersion"), "kind": "ExecCredential", "spec": {"interactive": False}}
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            env=os.environ | environment | {"KUBERNETES_EXEC_INFO": json.dumps(about)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        hint = f" ({spec['installHint']})" if spec.get("installHint") else ""
        raise PluginError(f"{command[0]} can't be run: {error.strerror or error}{hint}") from None
    out, complaint = await _answer(process, command[0], time_limit)
    if process.returncode != 0:
        raise PluginError(f"{command[0]} ended with {process.returncode}: {_one_line(complaint or out)}")
    return _parsed(command[0], out)


def _command(spec: Mapping[str, Any], base: str) -> list[str]:
    program = str(spec.get("command", ""))
    if "/" in program and not program.startswith("/"):
        program = str(Path(base) / program)
    return [program, *map(str, spec.get("args") or ())]


async def _answer(process: asyncio.subprocess.Process, name: str, time_limit: float) -> tuple[bytes, bytes]:
    try:
        async with asyncio.timeout(time_limit):
            return await process.communicate()
    except TimeoutError:
        raise PluginError(f"{name} gave no answer within {time_limit:g} s: does it wait for a login?") from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # a browser helper that it started goes with it
            await process.wait()


def _parsed(name: str, out: bytes) -> ExecCredential:
    try:
        status = json.loads(out)["status"]
        expiry = status.get("expirationTimestamp")
        expires_at = datetime.fromisoformat(expiry).timestamp() if expiry else None
        found = [str(status.get(key) or "") for key in ("token", "clientCertificateData", "clientKeyData")]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PluginError(f"{name} answered no ExecCredential: {_one_line(str(error).encode())}") from None
    token, certificate, key = found
    if not token and not (certificate and key):
        raise PluginError(f"{name} answered neither a token nor a certificate with its key")
    return ExecCredential(token.strip(), certificate, key, expires_at)


def _one_line(words: bytes) -> str:
    return " ".join(words[-500:].decode(errors="replace").split()) or "nothing"
