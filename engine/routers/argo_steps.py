"""The steps of a Rollout as laneshift needs them: a stop before all traffic, then one after each weight. Pure.

Argo Rollouts goes from one step to the next by itself and stops only at `pause: {}`. So every weight must be followed
by one, and one must come before the first weight: a new version begins at the first step as soon as it is pushed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

Step = Mapping[str, Any]


class StepsError(ValueError):
    """Steps that laneshift can't order one by one; says which and why."""


@dataclass(frozen=True, slots=True)
class Stop:
    """An indefinite pause: the index of its step, and the weight in percent that is in effect there."""

    index: int
    weight: int


@dataclass(slots=True)
class _Walk:
    """Where a walk along the steps is: the last weight, whether Argo has stopped at it, and a fixed canary size."""

    weight: int = 0
    stopped: bool = False
    fixed: str = ""


def stops_of(steps: Sequence[Step], total: int = 100) -> tuple[Stop, ...]:
    """The stops, the first at weight 0; `total` is the weight that is all of the traffic. Raises StepsError."""
    walk = _Walk()
    found = list(_walked(steps, total, walk))
    if not walk.stopped:
        raise StepsError(f"no `pause: {{}}` follows the last step: Argo would finish {walk.weight}% by itself")
    if any(after.weight <= before.weight for before, after in pairwise(found)):
        raise StepsError(f"the weights {', '.join(f'{stop.weight}' for stop in found)} do not rise from stop to stop")
    if found[-1].weight != 100:
        raise StepsError(f"the last weight is {found[-1].weight}%: a `setWeight: {total}` with a pause must follow")
    return tuple(found)


def next_stop(stops: Sequence[Stop], index: int) -> Stop | None:
    """The stop after the one at this step; None after the last, and when Argo is at none of them."""
    indexes = [stop.index for stop in stops]
    after = indexes.index(index) + 1 if index in indexes else len(stops)
    return stops[after] if after < len(stops) else None


def stop_at(stops: Sequence[Stop], index: int) -> Stop | None:
    """The stop at this step, None when there is none."""
    return next((stop for stop in stops if stop.index == index), None)


def wanted_steps(weights: Sequence[int], *, routed: bool) -> str:
    """The `steps` of a Rollout for these weights, as YAML to paste under `spec.strategy.canary`.

    `routed`: it has traffic routing, so that canary pods can be there before they have traffic.
    """
    first = ["- setCanaryScale: {replicas: 1}"] if routed else []
    then = ["- setCanaryScale: {matchTrafficWeight: true}"] if routed else []
    each = [line for weight in weights for line in (f"- setWeight: {weight}", "- pause: {}")]
    return "\n".join(["steps:", *(f"  {line}" for line in [*first, "- pause: {}", *then, *each])])


def _walked(steps: Sequence[Step], total: int, walk: _Walk) -> Iterator[Stop]:
    for index, step in enumerate(steps):
        where = f"step {index + 1}"
        match step:
            case {"pause": {"duration": duration}} if duration is not None:
                raise StepsError(f"{where} pauses for {duration} only: Argo would go on by itself")
            case {"pause": _}:
                if walk.stopped:
                    raise StepsError(f"{where} is a second pause at {walk.weight}%")
                walk.stopped = True
                yield Stop(index, walk.weight)
            case {"setWeight": weight}:
                _weigh(walk, where, int(weight) * 100, total)
            case {"setCanaryScale": scale}:
                _rescale(walk, scale)
            case _:
                kind = next(iter(step), "nothing")
                raise StepsError(f"{where} is {kind}, which laneshift does not order: judge it in the plan instead")


def _weigh(walk: _Walk, where: str, hundredfold: int, total: int) -> None:
    weight, rest = divmod(hundredfold, total)
    if rest:
        raise StepsError(f"{where} sets a weight that is no whole percent of {total}")
    if not walk.stopped:
        before = f"{walk.weight}% has no `pause: {{}}` after it" if walk.weight else "no `pause: {}` comes before it"
        raise StepsError(f"{where} sets {weight}%, and {before}")
    if walk.fixed:
        raise StepsError(f"{where} sets {weight}%, and the canary's size is still fixed at {walk.fixed}")
    walk.weight, walk.stopped = weight, False


def _rescale(walk: _Walk, scale: Mapping[str, Any]) -> None:
    """A size that follows the weight, or a fixed one, which must be lifted before there is traffic."""
    if scale.get("matchTrafficWeight"):
        walk.fixed = ""
    elif scale.get("replicas") is not None:
        walk.fixed = f"{scale['replicas']} pods"
    else:
        walk.fixed = f"{scale.get('weight')}%"
