"""How each event changes a state: one table for each subject, put together in `engine.state.folding`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from engine.events import Event
from engine.state.model import State

Fold = Callable[[State, Any], State]


class Folds(dict[type[Event], Fold]):
    """Event -> how it changes a state."""

    def of(self, *kinds: type[Event]) -> Callable[[Fold], Fold]:
        """Register the decorated function for these kinds of event."""

        def register(function: Fold) -> Fold:
            self.update(dict.fromkeys(kinds, function))
            return function

        return register


def put(mapping: Mapping[str, Any], key: str, value: Any) -> Mapping[str, Any]:
    """`mapping` with one value more or another."""
    return {**mapping, key: value}


def without(mapping: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """`mapping` without that key."""
    return {name: value for name, value in mapping.items() if name != key}
