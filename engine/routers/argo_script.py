"""The way back of a Rollout by kubectl alone. Pure text."""

from __future__ import annotations

import json
import shlex
from typing import Final

from engine.routers.argo_reading import BUILD_LABEL, STABLE_BUILD
from engine.routers.kube_script import kubectl, left_marks
from engine.routers.owner_config import ArgoRolloutsConfig

ABORT: Final = json.dumps({"status": {"abort": True, "promoteFull": False}})
PROMOTE: Final = json.dumps({"status": {"promoteFull": True}})

_SCRIPT: Final = r"""
k() {{ {kubectl} --request-timeout=5s "$@"; }}
field() {{ k get {rollout} -o "jsonpath=$1"; }}
tell() {{ k patch {rollout} --subresource=status --type=merge -p "$1" >/dev/null; }}
k annotate --overwrite {rollout} {marks} >/dev/null
old=$(field '{{.metadata.annotations.{annotation}}}')
trusted=$(field '{{.status.stableRS}}')
newest=$(field '{{.status.currentPodHash}}')
shown='{{.status.canary.weights.canary.weight}}'
[ -n "$(field '{{.spec.strategy.canary.trafficRouting}}')" ] || shown='{{.status.updatedReplicas}}'
if [ -z "$trusted" ]; then
    say "the Rollout can't be read"
    continue
fi
old=${{old:-$trusted}}
if [ "$trusted" = "$old" ]; then
    say "telling Argo Rollouts to abort"
    [ "$newest" = "$old" ] || tell {abort}
else
    say "telling Argo Rollouts to go back to $old"
    if [ "$newest" != "$old" ]; then
        template=$(k get rs -l {label}="$old" -o 'jsonpath={{.items[0].spec.template}}' |
            sed -e 's/"{label}":"[^"]*",//' -e 's/,\{{0,1\}}"{label}":"[^"]*"//')
        undo='[{{"op":"replace","path":"/spec/template","value":'$template'}}]'
        k patch {rollout} --type=json -p "$undo" >/dev/null
        sleep 2
    fi
    tell {promote}
fi
sleep 1
say "reading what Argo Rollouts made of it"
case "$(field "{{.status.stableRS}}/{{.status.currentPodHash}}/{{.status.abort}}/$shown/")" in
    "$old/$old"/*) ok=1 ;;
    "$old"/*/true/0/ | "$old"/*/true//) ok=1 ;;
esac
"""


def manual(config: ArgoRolloutsConfig, release: str) -> str:
    """One command for a person; what it says after # is for when Argo's controller is down."""
    told = f"{kubectl(config)} patch rollout {config.rollout} --subresource=status --type=merge -p {shlex.quote(ABORT)}"
    return f"{told} # {release}: Argo Rollouts acts on it; when it is down, start it again"


def script(config: ArgoRolloutsConfig, release: str) -> str:
    """The body of rollback.sh. It marks the Rollout first, so that a delayed raise can't land after it."""
    return _SCRIPT.format(
        kubectl=kubectl(config),
        rollout=shlex.quote(f"rollout/{config.rollout}"),
        marks=left_marks(release),
        annotation=STABLE_BUILD.replace(".", "\\."),
        label=BUILD_LABEL,
        abort=shlex.quote(ABORT),
        promote=shlex.quote(PROMOTE),
    )
