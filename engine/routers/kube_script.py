"""What the ways back of all routers on Kubernetes share, for people and scripts without laneshift: kubectl and sh."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from engine.events import SCRIPT
from engine.kube import marks
from engine.kube.marks import Operation
from engine.kube.templates import RESTORED, TEMPLATE_WAS
from engine.routers.kube_config import KubeConfig

_RESTORE = """
was=$(kube get {workload} -o jsonpath={was})
if [ -n "$was" ]; then
    say "giving stable its own template again"
    kube patch {workload} --type=json --field-manager=laneshift -p "$(printf {patch} "$was")" >/dev/null
    kube rollout status {workload} --timeout=120s >/dev/null || {{ say "stable is not ready"; continue; }}
fi
"""


def kubectl(config: KubeConfig) -> str:
    """kubectl with the plan's cluster and namespace, quoted for a shell."""
    words = ["kubectl"]
    if config.kubeconfig:
        words += ["--kubeconfig", str(Path(config.kubeconfig).expanduser())]
    if config.context:
        words += ["--context", config.context]
    return shlex.join([*words, "-n", config.namespace])


def restoring(workload: str, release: str) -> str:
    """After a copy: gives the workload that runs stable (as kubectl takes it) its own template again."""
    where = marks.pointer("metadata", "annotations", TEMPLATE_WAS)
    restored = as_json(marks.annotate({RESTORED: release}, first=False))[1:-1]
    patch = f'[{{"op":"replace","path":"/spec/template","value":%s}},{{"op":"remove","path":"{where}"}},{restored}]'
    path = TEMPLATE_WAS.replace(".", "\\.")
    return _RESTORE.format(
        workload=shlex.quote(workload),
        was=shlex.quote(f"{{.metadata.annotations.{path}}}"),
        patch=shlex.quote(patch),
    )


def left_marks(release: str) -> str:
    """A run's marks, quoted for `kubectl annotate`; its number is always new, so that a delayed raise is refused."""
    left = {marks.BY: SCRIPT, marks.RELEASE: release, marks.WEIGHT: "0"}
    words = [shlex.quote(f"{name}={value}") for name, value in left.items()]
    return " ".join([*words, f'{marks.INTENT}={SCRIPT}."$(date +%s)"'])


def as_json(operations: Sequence[Operation]) -> str:
    """As a patch takes it."""
    return json.dumps(operations, separators=(",", ":"))
