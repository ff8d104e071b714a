"""The way back of a Gateway API route without laneshift: kubectl, awk and sh."""

from __future__ import annotations

import shlex

from engine.events import SCRIPT
from engine.kube import marks
from engine.kube.marks import Operation
from engine.kube.routes import Layout
from engine.routers.kube_config import GatewayApiConfig
from engine.routers.kube_script import as_json, kubectl, left_marks, restoring

_FIND = """
kube() {{ {kubectl} --request-timeout=5s "$@"; }}
found=$(kube get {route} -o jsonpath={paths} | awk -F'|' -v rule={rule} -v stable={stable} -v canary={canary} '
    rule == "" || $1 == rule {{
        n = split($2, names, ","); s = -1; c = -1
        for (i = 1; i < n; i++) {{ if (names[i] == stable) s = i - 1; if (names[i] == canary) c = i - 1 }}
        if (s >= 0 && c >= 0) {{ print NR - 1, s, c; exit }}
    }}')
set -- $found
[ $# -eq 3 ] || {{ say "the route can't be read, or has not both {stable} and {canary}"; continue; }}
"""
_WRITE = """
say "writing stable's weight"
kube patch {route} --type=json --field-manager=laneshift -p "$(printf {patch} $1 $2 $1 $3 $1 $2 $1 $3)" >/dev/null \\
    || {{ say "the API server did not take it"; continue; }}
kube annotate --overwrite --field-manager=laneshift {route} {annotations} >/dev/null
"""
_VERIFY = """
say "reading it back"
weights=$(kube get {route} -o jsonpath="{{.metadata.generation}} {both}")
taken=$(kube get {route} -o jsonpath={conditions} | grep -E '^(Accepted|ResolvedRefs)=')
if [ "$weights" != "${{weights%% *}} 100 0" ]; then
    say "stable does not have all of it: $weights"
elif [ -z "$taken" ] || printf '%s\\n' "$taken" | grep -qv "=True@${{weights%% *}}\\$"; then
    say "written, and a gateway has not taken it yet"
else
    ok=1
fi
"""


def command(config: GatewayApiConfig, resource: str, layout: Layout, release: str) -> str:
    """The one command for a person: tests the names, gives stable everything, and leaves its mark."""
    left = {marks.BY: SCRIPT, marks.RELEASE: release, marks.WEIGHT: "0"}
    operations = [*layout.tests(), *layout.weights(0), *layout.marked(left)]
    patch = shlex.quote(as_json(operations))
    route = shlex.quote(f"{resource}/{config.route}")
    return f"{kubectl(config)} patch {route} --type=json --field-manager=laneshift -p {patch}"


def script(config: GatewayApiConfig, resource: str, workload: str, release: str) -> str:
    """What rollback.sh does in a loop: finds the places, writes, restores stable's template after a copy, verifies.

    `workload`: what runs stable, as kubectl takes it (`deployments.apps/checkout-stable`); empty when unknown.
    """
    quoted = {
        "kubectl": kubectl(config),
        "route": shlex.quote(f"{resource}/{config.route}"),
        "rule": shlex.quote(config.rule or ""),
        "stable": config.stable,
        "canary": config.canary,
        "paths": _quoted_path(".spec.rules[*]", '{.name}{"|"}{range .backendRefs[*]}{.name}{","}{end}'),
        "conditions": _quoted_path(
            ".status.parents[*].conditions[*]", '{.type}{"="}{.status}{"@"}{.observedGeneration}'
        ),
        "patch": shlex.quote(as_json(_by_printf(config))),
        "annotations": left_marks(release),
        "both": " ".join(f"{{.spec.rules[$1].backendRefs[${side}].weight}}" for side in (2, 3)),
    }
    parts = [_FIND.format(**quoted), _WRITE.format(**quoted), _VERIFY.format(**quoted)]
    if workload:
        parts.insert(2, restoring(workload, release))
    return "\n".join(part.strip("\n") for part in parts)


def _by_printf(config: GatewayApiConfig) -> list[Operation]:
    """With %s where printf puts the places: rule and backend, of each operation."""
    place = "/spec/rules/%s/backendRefs/%s/"
    names = [{"op": "test", "path": f"{place}name", "value": name} for name in (config.stable, config.canary)]
    weights = [{"op": "add", "path": f"{place}weight", "value": weight} for weight in (100, 0)]
    return [*names, *weights]


def _quoted_path(items: str, shown: str) -> str:
    return shlex.quote("{range " + items + "}" + shown + '{"\\n"}{end}')
