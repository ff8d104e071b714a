"""Who is attached to which release of this engine: since when, from where, driving or watching.

Whoever gave a release's last accepted order and is still attached drives it; all others watch. The orders are heard
from the release's own events, so it does not matter at which engine they were given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

MOST_SHOWN: Final = 100  # people at one release that are named; more are only counted


@dataclass(frozen=True, slots=True)
class Here:
    """One attached client. `since` in seconds since the epoch; one that is `read_only` never drives."""

    who: str
    where: str
    since: float
    driving: bool = False
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class _Driver:
    seq: int
    who: str
    where: str


class Presence:
    """The attached clients of one engine, and those that other engines on the same store told of."""

    def __init__(self) -> None:
        self._attached: dict[str, dict[object, Here]] = {}
        self._elsewhere: dict[str, tuple[Here, ...]] = {}
        self._drivers: dict[str, _Driver] = {}
        self._listeners: dict[str, set[Callable[[], None]]] = {}

    def attach(self, release: str, arrived: Here, changed: Callable[[], None]) -> Callable[[], None]:
        """Somebody follows a release; returns what detaches them. `changed` is called when who is here changes."""
        key = object()
        self._attached.setdefault(release, {})[key] = arrived
        self._listeners.setdefault(release, set()).add(changed)
        self._tell(release)

        def leave() -> None:
            self._listeners[release].discard(changed)
            if self._attached[release].pop(key, None) is not None:
                self._tell(release)

        return leave

    def ordered(self, release: str, seq: int, who: str, where: str) -> None:
        """Event number `seq` says that this person's order was accepted."""
        known = self._drivers.get(release)
        if known is not None and known.seq >= seq:
            return
        before = self.here(release)
        self._drivers[release] = _Driver(seq, who, where)
        if self.here(release) != before:
            self._tell(release)

    def knows(self, release: str) -> bool:
        """Is it known who gave the release's last order, or has somebody looked for it?"""
        return release in self._attached

    def elsewhere(self, found: Iterable[tuple[str, Here]]) -> None:
        """Who is attached at other engines now, by release."""
        now: dict[str, tuple[Here, ...]] = {}
        for release, here in found:
            now[release] = (*now.get(release, ()), here)
        changed = [name for name in now.keys() | self._elsewhere.keys() if now.get(name) != self._elsewhere.get(name)]
        self._elsewhere = now
        for release in changed:
            self._tell(release)

    def here(self, release: str) -> tuple[Here, ...]:
        """Who follows a release, the longest there first."""
        present = self._present(release)
        driver = self._drivers.get(release)
        if driver is not None:
            present = _with_driver(present, driver)
        return tuple(sorted(present, key=lambda one: one.since)[:MOST_SHOWN])

    def count(self, release: str) -> int:
        """How many follow a release."""
        return len(self._present(release))

    def own(self) -> list[tuple[str, Here]]:
        """Who is attached at this very engine, for the other engines to know."""
        return [
            (release, here)
            for release, attached in self._attached.items()
            if attached
            for here in self._driven(release, attached.values())
        ]

    def _driven(self, release: str, attached: Iterable[Here]) -> list[Here]:
        driver = self._drivers.get(release)
        return _with_driver(list(attached), driver) if driver else list(attached)

    def _present(self, release: str) -> list[Here]:
        return [*self._attached.get(release, {}).values(), *self._elsewhere.get(release, ())]

    def _tell(self, release: str) -> None:
        for changed in tuple(self._listeners.get(release, ())):
            changed()


def _with_driver(present: list[Here], driver: _Driver) -> list[Here]:
    """The driver's own terminal drives; when the order came from none of theirs that is attached, all of theirs do."""
    own = [one for one in present if one.who == driver.who and not one.read_only]
    driving = [one for one in own if one.where == driver.where] or own
    return [replace(one, driving=one in driving) for one in present]
