"""Where a cluster is and who laneshift is there: kubeconfig files, contexts, exec plugins, or the pod it runs in."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config import incluster_config, kube_config
from kubernetes.aio.config.config_exception import ConfigException

from engine.kube.errors import KubeError
from engine.kube.exec_plugin import PluginError, credential, interactive
from engine.kube.expiry import certificate_expiry, token_expiry

HOME_CONFIG: Final = "~/.kube/config"
_loader_class: Any = kube_config.KubeConfigLoader  # the package's configuration modules have no types
_file_or_data: Any = kube_config.FileOrData
_merger: Any = kube_config.KubeConfigMerger
_incluster: Any = incluster_config


@dataclass(frozen=True, slots=True)
class Credentials:
    """What was found. `expires_at` in seconds since the epoch, None when nothing says that they end.

    `renews`: a new token can be had without a person (a plugin, a file that the cluster writes). `interactive`: only by
    a person's login. `key` changes with anything that needs new connections.
    """

    configuration: Configuration
    who: str
    namespace: str
    expires_at: float | None
    renews: bool
    interactive: bool
    key: tuple[object, ...]

    @property
    def server(self) -> str:
        """The API server's URL."""
        return str(self.configuration.host)

    async def authorization(self) -> str:
        """The value of the header, empty for a client certificate. A pod's token is read again each minute."""
        setting = (await self.configuration.auth_settings()).get("BearerToken")
        value = setting["value"] if setting else None
        return " ".join(value.split()) if value else ""


async def found(kubeconfig: Path | None, context: str | None) -> Credentials:
    """Read what there is, running an exec plugin if it says so. Raises KubeError.

    Without a path: $KUBECONFIG, then ~/.kube/config, then the service account of the pod it runs in.
    """
    paths = str(kubeconfig) if kubeconfig else os.environ.get("KUBECONFIG") or HOME_CONFIG
    there = _existing(paths)
    if not there and kubeconfig is None and context is None and _incluster.SERVICE_HOST_ENV_NAME in os.environ:
        with _in_words("the service account of this pod"):
            return _of_the_pod()
    if not there:
        raise KubeError(f"there is no kubeconfig at {paths}: say where it is with `kubeconfig`, or set KUBECONFIG")
    with _in_words(paths):
        return await _of_files(os.pathsep.join(there), context)


def _existing(paths: str) -> list[str]:
    return [path for path in paths.split(os.pathsep) if path and Path(path).expanduser().is_file()]


@contextmanager
def _in_words(where: str) -> Iterator[None]:
    try:
        yield
    except PluginError as error:
        raise KubeError(f"no credentials from {where}: {error}") from None
    except (ConfigException, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise KubeError(f"{where} can't be used: {str(error) or type(error).__name__}") from None
    except Exception as error:  # noqa: BLE001  YAML and login libraries raise errors of their own
        raise KubeError(f"{where} can't be used: {type(error).__name__}: {error}") from None


class _Loader(_loader_class):  # type: ignore[misc]  # it has no types
    """The package's loader with a plugin that is run within a time limit and whose failure is told."""

    plugin: Mapping[str, Any] | None = None
    plugin_expires_at: float | None = None

    async def load_from_exec_plugin(self) -> bool:
        self.plugin = self._user["exec"].value
        base = str(Path(self._user.path or ".").parent)
        answered = await credential(self.plugin, base)
        self.plugin_expires_at = answered.expires_at
        if answered.token:
            self.token = f"Bearer {answered.token}"
        if answered.certificate:
            self.cert_file = _as_file(answered.certificate)
            self.key_file = _as_file(answered.key)
        return True

    @property
    def user_section(self) -> Mapping[str, Any]:
        return self._user.value if self._user is not None else {}


def _as_file(content: str) -> str:
    return str(_file_or_data({"data": content}, "file", "data", base64_file_content=False).as_file())


async def _of_files(paths: str, context: str | None) -> Credentials:
    merged = await asyncio.to_thread(_merger, paths)
    loader = _Loader(config_dict=merged.config, config_base_path=None, active_context=context)
    configuration = _configured()
    await loader.load_and_set(configuration)
    user, chosen = loader.user_section, loader.current_context
    inside = chosen.get("context", {})
    asks = interactive(loader.plugin) if loader.plugin else "refresh-token" not in str(user.get("auth-provider", ""))
    return Credentials(
        configuration=configuration,
        who=f"user {inside.get('user', 'nobody')} (context {chosen.get('name')})",
        namespace=str(inside.get("namespace") or "default"),
        expires_at=loader.plugin_expires_at or _expiry(configuration),
        renews=bool(loader.plugin and not asks) or "tokenFile" in user,
        interactive=asks if loader.plugin or "auth-provider" in user else False,
        key=_key(configuration),
    )


def _of_the_pod() -> Credentials:
    configuration = _configured()
    _incluster.load_incluster_config(configuration)
    namespace = Path(_incluster.SERVICE_TOKEN_FILENAME).with_name("namespace")
    return Credentials(
        configuration=configuration,
        who="the service account of this pod",
        namespace=namespace.read_text().strip() if namespace.is_file() else "default",
        expires_at=_expiry(configuration),
        renews=True,
        interactive=False,
        key=_key(configuration),
    )


def _configured() -> Configuration:
    configuration = Configuration()
    # As kubectl: many clusters' own authorities lack what Python 3.13 began to demand of them (RFC 5280 strictly).
    configuration.disable_strict_ssl_verification = True
    return configuration


def _expiry(configuration: Configuration) -> float | None:
    token = str(configuration.api_key.get("BearerToken", "")).split()
    ends = [token_expiry(token[-1]) if token else None]
    if configuration.cert_file:
        ends.append(certificate_expiry(Path(configuration.cert_file)))
    return min((end for end in ends if end is not None), default=None)


def _key(configuration: Configuration) -> tuple[object, ...]:
    files = (configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file)
    changed = [Path(file).stat().st_mtime_ns if file else None for file in files]
    return (
        configuration.host,
        *files,
        *changed,
        configuration.verify_ssl,
        configuration.tls_server_name,
        configuration.proxy,
    )
