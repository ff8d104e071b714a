"""The way back of a Service's selector without laneshift: kubectl and sh."""

from __future__ import annotations

import json
import shlex

from engine.events import SCRIPT
from engine.kube import marks
from engine.kube.selectors import SERVICE_LABEL
from engine.routers.kube_script import kubectl, left_marks, restoring
from engine.routers.selector_config import SelectorConfig

_START = """
kube() {{ {kubectl} --request-timeout=5s "$@"; }}
"""
_CAPACITY = """
full=$(kube get {service} -o jsonpath={full})
replicas=$(kube get {workload} -o jsonpath='{{.spec.replicas}} {{.status.readyReplicas}}')
if [ -n "$full" ] && [ "${{replicas%% *}}" -lt "$full" ]; then
    say "scaling stable from ${{replicas%% *}} to $full"
    kube scale {workload} --replicas="$full" >/dev/null || {{ say "the API server did not take it"; continue; }}
fi
[ -n "${{replicas#* }}" ] || {{ say "nothing of stable is ready: waiting for it"; continue; }}
"""
_WRITE = """
say "sending all traffic to {label}={stable}"
kube patch {service} --type=merge --field-manager=laneshift -p {patch} >/dev/null \\
    || {{ say "the API server did not take it"; continue; }}
kube annotate --overwrite --field-manager=laneshift {service} {annotations} >/dev/null
"""
_VERIFY = """
say "reading it back"
ready=$(kube get endpointslices -l {slices} -o jsonpath={ready} | grep '=true$' | sed 's/=true$//')
if [ "$(kube get {service} -o jsonpath={chosen})" != {stable} ]; then
    say "the Service does not send to stable"
elif [ -z "$ready" ]; then
    say "the Service sends to nothing that is ready"
else
    ok=1
    ours=$(kube get pods -l {pods} -o name) || ok=0
    for pod in $ready; do
        printf '%s\\n' "$ours" | grep -qx "pod/$pod" || {{ say "$pod is still sent to"; ok=0; }}
    done
fi
"""


def command(config: SelectorConfig, release: str) -> str:
    """The one command for a person: sends all traffic to stable, and leaves its mark."""
    left = {marks.BY: SCRIPT, marks.RELEASE: release, marks.WEIGHT: "0"}
    patch = shlex.quote(_merged(config, left))
    return f"{kubectl(config)} patch service/{config.service} --type=merge --field-manager=laneshift -p {patch}"


def script(config: SelectorConfig, workload: str, release: str) -> str:
    """What rollback.sh does in a loop: has stable at its size and ready, sends everything to it, restores its template
    after a copy, and verifies that no other pod is sent to.

    `workload`: what runs stable, as kubectl takes it; empty when unknown.
    """
    quoted = {
        "kubectl": kubectl(config),
        "service": f"service/{config.service}",
        "workload": shlex.quote(workload),
        "full": _annotation(marks.FULL),
        "label": config.label,
        "stable": config.stable,
        "patch": shlex.quote(_merged(config, {})),
        "annotations": left_marks(release),
        "slices": shlex.quote(f"{SERVICE_LABEL}={config.service}"),
        "pods": shlex.quote(f"{config.label}={config.stable}"),
        "chosen": shlex.quote("{.spec.selector." + _escaped(config.label) + "}"),
        "ready": shlex.quote('{range .items[*].endpoints[*]}{.targetRef.name}{"="}{.conditions.ready}{"\\n"}{end}'),
    }
    parts = [_START, *([_CAPACITY] if workload else []), _WRITE]
    texts = [part.format(**quoted) for part in parts]
    texts += [restoring(workload, release)] if workload else []
    return "\n".join(part.strip("\n") for part in (*texts, _VERIFY.format(**quoted)))


def _merged(config: SelectorConfig, annotations: dict[str, str]) -> str:
    noted = {"metadata": {"annotations": annotations}} if annotations else {}
    return json.dumps({**noted, "spec": {"selector": {config.label: config.stable}}}, separators=(",", ":"))


def _annotation(name: str) -> str:
    return shlex.quote("{.metadata.annotations." + _escaped(name) + "}")


def _escaped(name: str) -> str:
    """As a key in kubectl's jsonpath."""
    return name.replace(".", "\\.")
