"""What the doctor asks of a cluster, whatever is to be moved there: reached, who we are and until when, what we may."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from engine.finding import Finding
from engine.kube.cluster import Cluster
from engine.kube.errors import KubeError
from engine.kube.owners import GitOps
from engine.kube.permissions import Permission, granting, missing
from engine.plan.units import show_duration

if TYPE_CHECKING:
    from engine.kube.credentials import Credentials

SHORT_S: Final = 4 * 3600.0
"""Credentials that nobody renews and that end sooner would end in most releases."""

SKEW_S: Final = 5.0
OPEN_LIMIT_S: Final = 5.0
"""A server that refuses connections is asked again until then; a login by a plugin fits into it."""


async def examine_cluster(cluster: Cluster, wanted: Sequence[Permission]) -> list[Finding]:
    """One line each; the last ones are the permissions that are missing, with what grants all of them. Never raises."""
    try:
        credentials = await cluster.open(OPEN_LIMIT_S)
        version = str((await cluster.version()).get("gitVersion", "of an unknown version"))
        lacking = await missing(cluster, wanted)
        mend = await granting(cluster, wanted) if lacking else ""
    except KubeError as error:
        return [Finding("bad", "cluster", str(error))]
    who = credentials.who
    return [
        Finding("ok", "cluster", f"{credentials.server} answers: Kubernetes {version}"),
        _credentials(credentials),
        *_clock(cluster.clock_skew),
        *([] if lacking else [Finding("ok", "permissions", f"{who} may do all {len(wanted)} things needed")]),
        *(
            Finding("warn" if each.optional else "bad", "permissions", f"{who} may not {each}: {each.why}", mend)
            for each in lacking
        ),
    ]


def put_back(found: GitOps, what: str) -> Finding:
    """Something puts the object back as git has it."""
    named = f"{found.tool} ({found.name})" if found.name else found.tool
    return Finding("warn", found.tool, f"{named} looks after {what}: it may undo what laneshift writes", found.rule)


def _credentials(found: Credentials) -> Finding:
    if found.interactive:
        said = f"{found.who} logs in by hand (a browser, a code): an engine can't renew that"
        return Finding("bad", "credentials", said, "use a service account's token or a plugin that asks nobody")
    if found.expires_at is None:
        return Finding("ok", "credentials", f"{found.who}: nothing says that they end")
    until = datetime.fromtimestamp(found.expires_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    left = found.expires_at - time.time()
    if found.renews:
        return Finding("ok", "credentials", f"{found.who} until {until}, renewed before that")
    said = f"{found.who} until {until}, in {show_duration(max(0.0, round(left)))}; nothing renews them"
    return Finding(
        "bad" if left < SHORT_S else "warn",
        "credentials",
        said,
        "use credentials that outlive the release, or an exec plugin",
    )


def _clock(skew: float | None) -> list[Finding]:
    if skew is None or abs(skew) <= SKEW_S:
        return []
    ahead = "ahead of" if skew > 0 else "behind"
    said = f"the API server's clock is {abs(skew):.0f} s {ahead} this machine's"
    return [Finding("warn", "clock", said, "set both clocks by NTP: times in the record would disagree")]
