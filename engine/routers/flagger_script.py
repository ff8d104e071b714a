"""The way back of a Canary by kubectl alone. Pure text."""

from __future__ import annotations

import json
import shlex
from typing import Final

from engine.routers.flagger_reading import REVISION
from engine.routers.kube_script import kubectl, left_marks
from engine.routers.owner_config import FlaggerConfig

FAILED: Final = json.dumps({"status": {"failedChecks": 1000000}})
LOOKS: Final = 20

_SCRIPT: Final = """
k() {{ {kubectl} --request-timeout=5s "$@"; }}
read_it() {{ k get {canary} -o 'jsonpath={{.status.phase}}/{{.status.canaryWeight}}/{{.status.lastAppliedSpec}}/'; }}
k annotate --overwrite {canary} {marks} >/dev/null
raised=$(k get {canary} -o {raised})
case "$(read_it)" in
    Progressing/*|WaitingPromotion/*)
        say "telling Flagger to roll back: it does at its next look"
        k patch {canary} --subresource=status --type=merge -p {failed} >/dev/null ;;
esac
looks=0
while [ "$looks" -lt {looks} ] && [ "$ok" -ne 1 ]; do
    looks=$((looks + 1))
    state=$(read_it) || break
    spec=${{state%/}}; spec=${{spec##*/}}
    case "$state" in
        Failed/0/*|Initialized/0/*|Waiting/0/*) ok=1 ;;
        Promoting/*|Finalising/*) say "Flagger is promoting, and can't be rolled back any more"; break ;;
        Succeeded/*)
            if [ -n "$raised" ] && [ "${{raised%%.*}}" = "$spec" ]; then
                say "Flagger has promoted it: deploy the old version again"
                break
            fi
            ok=1 ;;
        *) sleep 1 ;;
    esac
done
"""


def manual(config: FlaggerConfig, release: str) -> str:
    """One command for a person."""
    told = f"{kubectl(config)} patch canary {config.canary} --subresource=status --type=merge -p {shlex.quote(FAILED)}"
    return f"{told} # {release}: Flagger rolls back at its next look, if it has not promoted yet"


def script(config: FlaggerConfig, release: str) -> str:
    """The body of rollback.sh."""
    annotation = REVISION.replace(".", "\\.")
    return _SCRIPT.format(
        kubectl=kubectl(config),
        canary=shlex.quote(f"canary/{config.canary}"),
        marks=left_marks(release),
        raised=shlex.quote(f"jsonpath={{.metadata.annotations.{annotation}}}"),
        failed=shlex.quote(FAILED),
        looks=LOOKS,
    )
