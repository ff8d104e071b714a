"""Pods of two Deployments behind one Service: the canary's share is that of its pods.

Stable stays at its full size, for it is the way back; the canary gets as many pods as make the weight, one at least: of
10 pods of stable, 5% is 1 of 11, 9.1%. Both sides share the Service when its selector leaves the label open. A weight
of 0 closes it to stable's pods, one of 100 to the canary's: so a canary can be ready and tested with no traffic at all,
and the way back is one write that waits for no pod, with stable's capacity already there. Where somebody made stable
smaller, it is scaled up before or beside that write, and the canary goes last.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from engine.finding import Finding
from engine.inputs import Observation
from engine.kube.marks import PREFIX, annotations_of, marks_of
from engine.kube.pair import Reading
from engine.kube.selectors import Selector
from engine.routers import RouterConflict, RouterError, Write
from engine.routers.selector_config import ReplicasConfig
from engine.routers.selector_router import SelectorRouter, all_on

Object = Mapping[str, Any]

PODS_ASKED: Final = f"{PREFIX}pods"  # how many pods of the canary laneshift asked for last, and before
MOST_TIMES: Final = 3  # of stable's pods, which is 75%
SHOWN_WEIGHTS: Final = (5, 10, 25, 50, 75)
MEND: Final = "choose weights that pods can make, run more of them, or split by weights (a Gateway API route)"


class ReplicasRouter(SelectorRouter):
    """One Service, which sends to either side or to both."""

    Config = ReplicasConfig
    needs_weights = True
    notes = (PODS_ASKED,)

    def __init__(self, config: ReplicasConfig, weights: tuple[int, ...] = SHOWN_WEIGHTS) -> None:
        """`weights`: the plan's, of which the doctor says what pods make of them."""
        super().__init__(config)
        self._weights = weights

    async def claim(self, release: str, engine: str) -> None:
        """Mark the Service, and close it to the canary before that has pods. Raises RouterConflict, RouterError."""
        await super().claim(release, engine)
        service = await self._read()
        place = self._place(service)
        if place.now is None and not (await self._endpoints.count(place.others))[place.canary]:
            await self._patch([*place.unmoved(self._compared(service)), *place.weights(0)])

    async def scale(self, weight: int) -> str:
        """Stable to its full size, the canary to the pods that make this weight. Raises RouterError."""
        full = await self._full_size()
        done = [await self._pair.scale(0, full)]
        if weight:
            pods = pods_for(weight, full)
            await self._note(pods)
            done.append(await self._pair.size_canary(pods))
        return ", ".join(filter(None, done))

    async def shift(self, write: Write) -> str:
        """Open the Service to as many pods of the canary as make the weight, or close it to one side.

        Raises RouterConflict for a raise of a Service that was changed since it was read, RouterError.
        """
        if not write.weight:
            return await super().shift(write)
        service = await self._read()
        place = self._place(service)
        written = marks_of(service)
        if (written.intent, written.weight) == (write.number, str(write.weight)):
            return await self._sized(write.weight, "written already")
        if write.generation not in (None, self._compared(service)):
            raise RouterConflict("the Service was changed since it was read")
        if place.now == place.stable:  # closed to the canary: its size moves nothing yet
            await self._sized(write.weight)
            self._place(await self._read())
            return await super().shift(write)
        return await self._sized(write.weight, await super().shift(write))

    async def _sized(self, weight: int, told: str = "") -> str:
        pods = pods_for(weight, await self._full_size())
        await self._note(pods)
        return ", ".join(filter(None, (told, await self._pair.size_canary(pods))))

    async def _note(self, pods: int) -> None:
        """Written before the size, with the one before: every other size is somebody else's."""
        service, canary = await self._read(), (await self._pair.read()).sides.get("canary")
        if _noted(service)[:1] != [pods]:
            before = f" {canary.wanted}" if canary else ""
            await self._patch(self._place(service).marked({PODS_ASKED: f"{pods}{before}"}))

    def _weight(self, item: Object, place: Selector) -> float:
        """What was asked for last, where both sides are sent to; only their pods tell when nothing was."""
        if place.now is not None:
            return 100.0 if place.now == place.canary else 0.0
        return float(_asked(item) or 50)

    async def _shown(self, item: Object, place: Selector, reading: Reading) -> Observation:
        """A canary of another size than laneshift gave it has the weight that its pods make, which is somebody's."""
        shown = await super()._shown(item, place, reading)
        if place.now is not None:
            return shown
        needed, asked = _needed(item, shown), shown.canary_asked
        if needed is None or asked is None or asked not in (needed, *_noted(item)):
            by_hand = 0.0 if asked == 0 else shown.share or 0.0
            return replace(shown, weight=by_hand, pending=shown.pending if asked == 0 else "")
        few = f"the canary has {asked} of the {needed} pods that {shown.weight:g}% needs" if asked < needed else ""
        return replace(shown, pending=_also(shown.pending, few))

    def _in_effect(self, shown: Observation, place: Selector, ready: Counter[str]) -> Observation:
        if place.now is not None:
            return replace(shown, pending=_also(shown.pending, all_on(place.now, ready, place.label)))
        canary, both = ready[place.canary], ready[place.canary] + ready[place.stable]
        if not both:
            return replace(shown, pending=_also(shown.pending, "no pod of either side is ready behind the Service"))
        share = round(100 * canary / both, 6)
        asked = shown.canary_asked
        waits = "" if canary == asked else f"the Service sends to {canary} of the canary's {asked} pods"
        return replace(shown, share=share, pending=_also(shown.pending, waits))

    async def _findings(self, item: Object, place: Selector) -> list[Finding]:
        found = await super()._findings(item, place)
        full = await self._full_size()
        found.append(_as_pods(full, [weight for weight in self._weights if 0 < weight < 100]))
        if await self._pair.scaler("canary"):
            said = "an autoscaler sizes the canary, whose pods are its weight"
            found.append(Finding("warn", "autoscaler", said, "take it off the canary while a release runs"))
        if place.now is None:
            said = f"the Service sends to any {place.label}: pods of a canary get traffic as soon as they are ready"
            mend = f"keep the canary at 0 replicas; the release begins with {place.label}={place.stable} alone"
            found.append(Finding("ok", "selector", said, mend))
        return found


def pods_for(weight: int, full: int) -> int:
    """The canary's pods beside stable's `full` for this weight: never fewer than carry that share of the traffic.

    Raises RouterError for a weight that would need more than `MOST_TIMES` of stable's.
    """
    if weight >= 100:
        return full
    nearest = math.floor(full * weight / (100 - weight) + 0.5)
    if nearest > MOST_TIMES * full:
        raise RouterError(f"{weight}% needs {nearest} pods of the canary beside stable's {full}: go to 100% from 75%")
    return max(1, math.ceil(full * weight / 100), nearest)


def _needed(item: Object, shown: Observation) -> int | None:
    """The canary's pods for the weight written last; None when none was, or stable's size is not known."""
    weight, full = _asked(item), marks_of(item).full or shown.full
    return pods_for(weight, full) if weight and full else None


def _noted(item: Object) -> list[int]:
    """How many pods of the canary laneshift asked for last, and how many there were to be before that."""
    return [int(word) for word in annotations_of(item).get(PODS_ASKED, "").split() if word.isdigit()]


def _asked(item: Object) -> int | None:
    """The weight written last, if it opened the Service to both sides."""
    written = marks_of(item).weight
    return int(written) if written.isdigit() and 0 < int(written) < 100 else None


def _as_pods(full: int, weights: list[int]) -> Finding:
    try:
        made = {weight: pods_for(weight, full) for weight in weights}
    except RouterError as error:
        return Finding("bad", "pods", str(error), MEND)
    shares = {weight: 100 * pods / (full + pods) for weight, pods in made.items()}
    each = ", ".join(
        f"{weight}% is {pods} of {full + pods} pods, {shares[weight]:.1f}%" for weight, pods in made.items()
    )
    exact = all(abs(share - weight) < 1 for weight, share in shares.items())
    return Finding("ok" if exact else "warn", "pods", f"with {full} of stable {each}", "" if exact else MEND)


def _also(*said: str) -> str:
    return "; ".join(filter(None, said))
