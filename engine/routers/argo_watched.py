"""A Rollout that is only watched: of any strategy and with any steps, whoever orders Argo Rollouts. Pure.

The marks of a release are not looked at, for there may be none, or another's. What Argo is doing is a remark here: the
weight that it shows is in effect while it goes on by itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from engine.inputs import Observation
from engine.routers.argo_observation import observation_of
from engine.routers.argo_reading import Object, Rollout


class WatchedRollout(Rollout):
    """One reading of it."""

    @property
    def promoted(self) -> bool:
        """Never by laneshift: a version that Argo has promoted is its stable, and there is no canary."""
        return False

    @property
    def stop(self) -> None:
        """Its pauses are its own affair."""
        return

    @property
    def verified(self) -> bool:
        """Does the load balancer have the weight, as far as Argo can tell?"""
        return ((self.status.get("canary") or {}).get("weights") or {}).get("verified") is not False

    def share(self, build: str) -> float:
        """Percent of the traffic on a build; with the strategy blueGreen all or nothing."""
        if "blueGreen" not in (self.item["spec"].get("strategy") or {}):
            return super().share(build)
        return 100.0 if build and (self.status.get("blueGreen") or {}).get("activeSelector") == build else 0.0


def watched_of(rollout: Rollout, pods: Iterable[Object]) -> Observation:
    """What Argo shows of the version that it rolls out."""
    watched = WatchedRollout(rollout.item, rollout.replicasets)
    seen = replace(observation_of(watched, pods), hand=_hand(watched))
    if not watched.up_to_date or watched.aborted or watched.newest == watched.trusted:
        return seen
    unverified = "" if watched.verified else "the load balancer does not have the weight yet, as Argo Rollouts reads it"
    return replace(seen, pending=unverified, remark=seen.pending)


def _hand(rollout: Rollout) -> str:
    why = str(rollout.status.get("message", ""))[:300] if rollout.aborted else ""
    return f"Argo Rollouts ({why})" if why else "Argo Rollouts"
