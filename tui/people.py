"""Who else is attached to the release, in words of several lengths: the first that fits is shown. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from engine.client import Here
from tui.times import clock
from widgets.plain import brief

NAME, PLACE = 16, 32  # cells of a person's name and of where they are
MOST_NAMED = 6  # more are counted


@dataclass(frozen=True, slots=True)
class You:
    """The person at the keys, as the engine knows them; `where` is what it knows of the place, "" if nothing."""

    who: str
    where: str = ""

    def is_at(self, here: Here) -> bool:
        """Is that this cockpit's own line? The engine's words on a stream go on after those on a question."""
        return here.who == self.who and (not self.where or f"{here.where} ".startswith(f"{self.where} "))


def others(here: Sequence[Here], you: You) -> tuple[Here, ...]:
    """All but this cockpit itself, drivers first; another cockpit of the same person is another."""
    own = next((number for number, one in enumerate(here) if you.is_at(one)), None)
    left = [one for number, one in enumerate(here) if number != own]
    return tuple(sorted(left, key=lambda one: (not one.driving, one.since)))


def company(here: Sequence[Here], you: You) -> tuple[str, ...]:
    """Who is here beside you, the longest words first; empty when you are alone."""
    rest = others(here, you)
    if not rest:
        return ()
    driving = any(one.driving and you.is_at(one) for one in here) and not any(one.driving for one in rest)
    own = ["you drive"] if driving else []
    counted = ", ".join([*own, *_counted(rest)])
    first = _acts(rest[0]) if rest[0].driving else ""
    shortest = f"{own[0] if own else first or 'with'} +{len(rest) - bool(first)}" if len(rest) > bool(first) else first
    if len(rest) > MOST_NAMED:
        return (counted, shortest)
    placed = ", ".join([*own, *(f"{_acts(one)} since {clock(one.since)[:5]}{_at(one)}" for one in rest)])
    timed = ", ".join([*own, *(f"{_acts(one)} since {clock(one.since)[:5]}" for one in rest)])
    named = ", ".join([*own, *dict.fromkeys(_acts(one) for one in rest)])
    return tuple(dict.fromkeys((placed, timed, named, counted, shortest)))


def place_words(where: str) -> str:
    """A place as people know it: the client's own words where there are any; the number of a process is none."""
    proven, _, said = where.partition("(")
    return brief(said.removesuffix(")") or ("" if proven.startswith("pid ") else where), PLACE)


def comings(before: Iterable[Here], now: Iterable[Here], known: Collection[tuple[str, str]] = ()) -> tuple[str, ...]:
    """Who came and who went between two beats, a sentence each. Who is `known`, by name and place, only comes back."""
    was = {(one.who, one.where): one for one in before}
    there = {(one.who, one.where): one for one in now}
    came = [f"{_name(one)} is here too{_at(one)}" for key, one in there.items() if key not in was and key not in known]
    return (*came, *(f"{_name(one)} is gone{_at(one)}" for key, one in was.items() if key not in there))


def _name(one: Here) -> str:
    return brief(one.who, NAME) or "somebody"


def _acts(one: Here) -> str:
    return f"{_name(one)} {'drives' if one.driving else 'watches'}"


def _at(one: Here) -> str:
    place = place_words(one.where)
    return f" ({place})" if place else ""


def _counted(rest: Sequence[Here]) -> list[str]:
    drivers = list(dict.fromkeys(_name(one) for one in rest if one.driving))
    watching = [name for name in dict.fromkeys(_name(one) for one in rest) if name not in drivers]
    named = f"{watching[0]} watches" if len(watching) == 1 else f"{len(watching)} watch"
    return [*(f"{name} drives" for name in drivers[:1]), *([named] if watching else [])]
