"""The road: two lanes that merge. The whole width is all traffic; the seam between the lanes is the weight."""

from __future__ import annotations

from dataclasses import dataclass

from widgets.lines import Line, Pane, line
from widgets.plain import fit


@dataclass(frozen=True, slots=True)
class Lanes:
    """Share of traffic in percent on the canary; `observed` None while nobody could read it."""

    stable: str
    canary: str
    desired: float
    observed: float | None
    stable_note: str = ""
    canary_note: str = ""


class RoadLanes(Pane[Lanes]):
    """Stable's lane above, from the left; canary's below, to the right end. A mark shows the wanted seam."""

    DEFAULT_CSS = "RoadLanes { height: 2; }"

    def draw_value(self, value: Lanes, width: int, _height: int) -> list[Line]:
        name = min(24, max(16, width // 5))
        notes = max(len(value.stable_note), len(value.canary_note))
        road = max(10, width - name - 10 - notes - (1 if notes else 0))
        seen = value.observed
        seam = road if seen is None else _seam(seen, road)
        wanted = None if seen is None or abs(seen - value.desired) < 0.5 else _seam(value.desired, road)
        stable = self._lane(0, seam, road, wanted, "stable", known=seen is not None)
        canary = self._lane(seam, road, road, wanted, "canary", known=seen is not None)
        kept = None if seen is None else 100 - seen
        return [
            (*_label("stable", value.stable, kept, name), *stable, *_note(value.stable_note)),
            (*_label("canary", value.canary, seen, name), *canary, *_note(value.canary_note)),
        ]

    def _lane(self, start: int, end: int, road: int, wanted: int | None, role: str, *, known: bool) -> Line:
        """Traffic from `start` to `end`, road elsewhere; of an unknown weight only the road."""
        if not known:
            return line((self.glyphs.asks * road, "dim"))
        cells = [(self.glyphs.lane, role) if start <= at < end else (self.glyphs.road, "dim") for at in range(road)]
        if wanted is not None:
            cells[min(wanted, road - 1)] = (self.glyphs.wanted, "warn")
        return _runs(cells)


def _seam(canary_percent: float, road: int) -> int:
    """Where the lanes meet: never at the very end while a side still has traffic."""
    if canary_percent <= 0:
        return road
    if canary_percent >= 100:
        return 0
    return min(road - 1, max(1, round(road * (100 - canary_percent) / 100)))


def _label(side: str, version: str, share: float | None, width: int) -> Line:
    percent = "?" if share is None else f"{share:.4g}%"
    return line(f" {fit(f'{side} {version}', width)}", (fit(percent, 7, right=True), "bold"), " ")


def _note(note: str) -> Line:
    return line((f" {note}", "dim")) if note else ()


def _runs(cells: list[tuple[str, str]]) -> Line:
    runs: list[tuple[str, str]] = []
    for text, role in cells:
        if runs and runs[-1][1] == role:
            runs[-1] = (runs[-1][0] + text, role)
        else:
            runs.append((text, role))
    return tuple(runs)
