"""The way back of an Istio VirtualService without laneshift: kubectl, awk and sh."""

from __future__ import annotations

import shlex

from engine.events import SCRIPT
from engine.kube import marks
from engine.kube.marks import Operation
from engine.kube.virtual_services import Destination, Destinations
from engine.routers.istio_config import IstioConfig
from engine.routers.kube_script import as_json, kubectl, left_marks, restoring

_FIND = """
kube() {{ {kubectl} --request-timeout=5s "$@"; }}
found=$(kube get {item} -o jsonpath={paths} \\
    | awk -F'|' -v rule={rule} -v space={space} -v stable={stable} -v canary={canary} '
    NR == 1 {{ generation = $1; next }}
    rule == "" || $1 == rule {{
        n = split($2, names, ","); s = -1; c = -1
        for (i = 1; i < n; i++) {{
            split(names[i], part, "/")
            sub("[.]" space "([.]svc([.]cluster[.]local)?)?$", "", part[1])
            name = part[1] "/" part[2]
            if (name == stable) s = i - 1
            if (name == canary) c = i - 1
        }}
        if (s >= 0 && c >= 0) {{ print generation, NR - 2, s, c; exit }}
    }}')
set -- $found
[ $# -eq 4 ] || {{ say "the VirtualService can't be read, or has not both sides"; continue; }}
"""
_WRITE = """
say "writing stable's weight"
kube patch {item} --type=json --field-manager=laneshift -p "$(printf {patch} $1 $2 $3 $2 $4)" >/dev/null \\
    || {{ say "the API server did not take it"; continue; }}
kube annotate --overwrite --field-manager=laneshift {item} {annotations} >/dev/null
"""
_VERIFY = """
say "reading it back"
weights=$(kube get {item} -o jsonpath="{both}")
told=$(kube get {item} -o jsonpath={reconciled})
if [ "$weights" != "100 0" ]; then
    say "stable does not have all of it: $weights"
elif [ -n "$told" ] && [ "$told" != True ]; then
    say "written, and Istio has not brought it to all proxies yet"
else
    ok=1
fi
"""


def command(config: IstioConfig, named: str, place: Destinations, release: str) -> str:
    """The one command for a person: tests the names, gives stable everything, and leaves its mark."""
    left = {marks.BY: SCRIPT, marks.RELEASE: release, marks.WEIGHT: "0"}
    patch = shlex.quote(as_json([*place.tests(), *place.weights(0), *place.marked(left)]))
    return f"{kubectl(config)} patch {shlex.quote(named)} --type=json --field-manager=laneshift -p {patch}"


def script(
    config: IstioConfig, named: str, stable: Destination, canary: Destination, workload: str, release: str
) -> str:
    """What rollback.sh does in a loop: finds the places, writes if nothing changed meanwhile, restores stable's
    template after a copy, verifies.

    `workload`: what runs stable, as kubectl takes it; empty when unknown.
    """
    quoted = {
        "kubectl": kubectl(config),
        "item": shlex.quote(named),
        "rule": shlex.quote(config.rule or ""),
        "space": shlex.quote(config.namespace),
        "stable": shlex.quote("/".join(stable)),
        "canary": shlex.quote("/".join(canary)),
        "paths": shlex.quote(_paths()),
        "patch": shlex.quote(_by_printf()),
        "annotations": left_marks(release),
        "both": " ".join(f"{{.spec.http[$2].route[${side}].weight}}" for side in (3, 4)),
        "reconciled": shlex.quote('{.status.conditions[?(@.type=="Reconciled")].status}'),
    }
    parts = [_FIND.format(**quoted), _WRITE.format(**quoted), _VERIFY.format(**quoted)]
    if workload:
        parts.insert(2, restoring(workload, release))
    return "\n".join(part.strip("\n") for part in parts)


def _paths() -> str:
    """The generation, then a line for each rule: `name|host/subset,host/subset,`."""
    routes = '{range .route[*]}{.destination.host}{"/"}{.destination.subset}{","}{end}'
    return '{.metadata.generation}{"\\n"}{range .spec.http[*]}{.name}{"|"}' + routes + '{"\\n"}{end}'


def _by_printf() -> str:
    """With %s where printf puts the generation that was read, then the rule and the side of each weight."""
    place = "/spec/http/%s/route/%s/weight"
    writes: list[Operation] = [{"op": "add", "path": place, "value": weight} for weight in (100, 0)]
    return '[{"op":"test","path":"/metadata/generation","value":%s},' + as_json(writes)[1:]
