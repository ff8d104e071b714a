"""The way back of a Deployment by kubectl alone, for people: laneshift itself never takes it. Pure text."""

from __future__ import annotations

import shlex
from typing import Final

from engine.kube.workloads import HASH_LABEL
from engine.routers.deployment_config import DeploymentConfig
from engine.routers.deployment_reading import REVISION
from engine.routers.kube_script import kubectl

_SCRIPT: Final = r"""
kube() {{ {kubectl} --request-timeout=5s "$@"; }}
old=$(kube get rs -l {label}={build} -o jsonpath='{{.items[0].metadata.annotations.{revision}}}')
if [ -z "$old" ]; then
    say "there is no ReplicaSet of {build} that could be gone back to"
    continue
fi
say "undoing the rolling update of {release}"
kube rollout undo {deployment} --to-revision="$old" >/dev/null || continue
say "waiting for the pods of {build}"
kube rollout status {deployment} --timeout=120s >/dev/null && ok=1
"""


def manual(config: DeploymentConfig, release: str) -> str:
    """One command for a person: back to the template before the newest."""
    return f"{kubectl(config)} rollout undo {_deployment(config)} # {release}"


def script(config: DeploymentConfig, build: str, release: str) -> str:
    """The body of rollback.sh: back to the pods of this build, which served before the update."""
    if not build:
        return 'say "the version that served before was not seen: nothing can be gone back to"'
    return _SCRIPT.format(
        kubectl=kubectl(config),
        release=release,
        label=HASH_LABEL,
        build=shlex.quote(build),
        revision=REVISION.replace(".", "\\."),
        deployment=_deployment(config),
    )


def _deployment(config: DeploymentConfig) -> str:
    return shlex.quote(f"deployment/{config.name}")
