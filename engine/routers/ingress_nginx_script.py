"""The way back of ingress-nginx's canary annotations without laneshift: kubectl and sh."""

from __future__ import annotations

import shlex

from engine.events import SCRIPT
from engine.kube import marks
from engine.kube.nginx_ingresses import TOTAL, WEIGHT
from engine.routers.ingress_nginx_config import IngressNginxConfig
from engine.routers.kube_script import kubectl, left_marks, restoring

_WRITE = """
kube() {{ {kubectl} --request-timeout=5s "$@"; }}
wanted=
for service in $(kube get {item} -o jsonpath='{{.spec.rules[*].http.paths[*].backend.service.name}}'); do
    case "$service" in
        {canary}) wanted=0 ;;
        {stable}) wanted=$(kube get {item} -o jsonpath={total}); wanted=${{wanted:-100}} ;;
    esac
done
[ -n "$wanted" ] || {{ say "the Ingress can't be read, or sends to neither {stable} nor {canary}"; continue; }}
say "writing the weight $wanted"
kube annotate --overwrite --field-manager=laneshift {item} {weight}="$wanted" {annotations} >/dev/null \\
    || {{ say "the API server did not take it"; continue; }}
"""
_VERIFY = """
say "reading it back"
found=$(kube get {item} -o jsonpath={shown})
if [ "$found" = "$wanted" ]; then ok=1; else say "the weight is $found"; fi
"""


def command(config: IngressNginxConfig, named: str, weight: str, release: str) -> str:
    """The one command for a person: writes the weight that gives stable everything, and leaves its mark."""
    left = {WEIGHT: weight, marks.BY: SCRIPT, marks.RELEASE: release, marks.WEIGHT: "0"}
    words = " ".join(shlex.quote(f"{name}={value}") for name, value in left.items())
    return f"{kubectl(config)} annotate --overwrite --field-manager=laneshift {shlex.quote(named)} {words}"


def script(config: IngressNginxConfig, named: str, workload: str, release: str) -> str:
    """What rollback.sh does in a loop: finds whose weight it is, writes it, restores stable's template, verifies.

    `workload`: what runs stable, as kubectl takes it; empty when unknown.
    """
    quoted = {
        "kubectl": kubectl(config),
        "item": shlex.quote(named),
        "stable": config.stable,
        "canary": config.canary,
        "weight": WEIGHT,
        "total": _annotation(TOTAL),
        "shown": _annotation(WEIGHT),
        "annotations": left_marks(release),
    }
    parts = [_WRITE.format(**quoted), *([restoring(workload, release)] if workload else []), _VERIFY.format(**quoted)]
    return "\n".join(part.strip("\n") for part in parts)


def _annotation(name: str) -> str:
    return shlex.quote("{.metadata.annotations." + name.replace(".", "\\.") + "}")
