"""The gateway's route: how much of the traffic each backend gets, and the mark of who wrote that. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

MAX_MARK = 200
_ORDER_KEYS = ("weights", "mark", "if_generation")


class ConflictError(Exception):
    """The route is no longer the one the writer had read."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Who wrote the weights: `number` is the writer's own (an intent's), `by` and `release` say for whom."""

    number: str = ""
    by: str = ""
    release: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """A validated write. With `if_generation` it is a compare-and-set."""

    weights: Mapping[str, int]  # percent by backend, 100 in all
    mark: Mark = Mark()
    if_generation: int | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """The weights in force. `generation` grows by one with each accepted write, even one that changes no weight."""

    weights: Mapping[str, int]
    mark: Mark = Mark()
    generation: int = 0

    def after(self, order: Order) -> Route:
        """The route once `order` is taken; ConflictError when it was meant for another generation."""
        if order.if_generation not in (None, self.generation):
            raise ConflictError(f"the route is at generation {self.generation}, not {order.if_generation}")
        return Route(order.weights, order.mark, self.generation + 1)

    def pick(self, chance: float) -> str:
        """The backend for one request; `chance` is uniform in [0, 1)."""
        left = chance * 100
        for name, weight in self.weights.items():
            left -= weight
            if left < 0:
                return name
        raise AssertionError("the weights are 100 in all")

    def mark_view(self) -> dict[str, str]:
        return asdict(self.mark)


def read_order(body: Mapping[str, Any], names: Iterable[str]) -> Order:
    """A request's JSON as an order for the backends `names`; ValueError with a sentence when it is none."""
    unknown = [key for key in body if key not in _ORDER_KEYS]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is none of {', '.join(_ORDER_KEYS)}")
    generation = body.get("if_generation")
    if generation is not None and type(generation) is not int:
        raise ValueError(f"if_generation is a whole number, not {generation!r}")
    return Order(_read_weights(body.get("weights"), tuple(names)), _read_mark(body.get("mark", {})), generation)


def _read_weights(weights: object, names: tuple[str, ...]) -> dict[str, int]:
    if not isinstance(weights, dict) or set(weights) != set(names):
        raise ValueError(f"weights needs a number for each of {', '.join(names)} and for nothing else")
    for name, weight in weights.items():
        if type(weight) is not int or not 0 <= weight <= 100:
            raise ValueError(f"the weight of {name} is a whole number from 0 to 100, not {weight!r}")
    total = sum(weights.values())
    if total != 100:
        raise ValueError(f"the weights are {total} in all and must be 100")
    return {name: weights[name] for name in names}


def _read_mark(mark: object) -> Mark:
    if not isinstance(mark, dict) or not set(mark) <= {"number", "by", "release"}:
        raise ValueError("mark has number, by and release, and nothing else")
    for key, text in mark.items():
        if not isinstance(text, str) or len(text) > MAX_MARK:
            raise ValueError(f"mark.{key} is a text of {MAX_MARK} characters at most")
    return Mark(**mark)
