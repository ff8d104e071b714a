"""How many rows each part of the screen gets: a pure function of the terminal's size and what must be shown."""

from __future__ import annotations

from dataclasses import dataclass

LEAST_WIDTH, LEAST_HEIGHT = 80, 24
WIDE = 120  # from here on the checklist stands beside the metrics
CHART_WIDTH, CHART_HEIGHT = 160, 44  # from here on the chosen metric has a chart
ALWAYS = 2 + 2 + 2 + 1 + 1  # status, stages, lanes, message, keys
HEAD = 1


@dataclass(frozen=True, slots=True)
class Demand:
    """What wants room: numbers of rows, and which list the keys go to."""

    metrics: int
    items: int
    banner: int = 0
    panel: int = 0
    checklist_focused: bool = False


@dataclass(frozen=True, slots=True)
class Rows:
    """Heights in rows; 0 hides a part. `wide`: the checklist stands beside the metrics, `side` cells wide."""

    wide: bool
    side: int
    banner: int
    panel: int
    metrics: int
    tall: bool
    chart: int
    checklist: int
    next: int
    log: int


def too_small(width: int, height: int) -> bool:
    """Is there no room for the whole cockpit?"""
    return width < LEAST_WIDTH or height < LEAST_HEIGHT


def reason_rows(height: int) -> int:
    """Rows for the judge's reason beneath the metrics."""
    return 1 if height < 30 else 2


def arrange(width: int, height: int, demand: Demand) -> Rows:
    """Divide the rows of a terminal of at least 80x24."""
    if width >= WIDE:
        return _wide(width, height, demand)
    return _narrow(height, demand)


def _coming(height: int) -> int:
    return 2 if height < 30 else 3


def _narrow(height: int, demand: Demand) -> Rows:
    """All beneath each other. The list that has the keys gets what the others can spare."""
    coming = _coming(height)
    room = max(0, height - ALWAYS - coming - demand.banner - demand.panel)
    log = 3 if room >= 12 else min(2, room // 4)
    room -= log
    whole = HEAD + demand.metrics + reason_rows(height)
    if demand.checklist_focused:
        metrics = min(whole, max(room - demand.items - 1, room // 3))
    else:
        metrics = min(whole, room - (1 if demand.panel or demand.banner else 2))
    metrics = max(0, metrics)
    checklist = min(room - metrics, demand.items + 5)
    return Rows(
        wide=False, side=0, banner=demand.banner, panel=demand.panel, metrics=metrics, tall=False, chart=0,
        checklist=checklist, next=coming, log=log + room - metrics - checklist,
    )  # fmt: skip


def _wide(width: int, height: int, demand: Demand) -> Rows:
    coming = _coming(height)
    room = max(0, height - ALWAYS - coming - demand.banner - demand.panel)
    log = min(10, room // 4)
    room -= log
    reason = reason_rows(height)
    tall = room >= HEAD + 2 * demand.metrics + reason
    metrics = min(room, HEAD + (2 if tall else 1) * demand.metrics + reason)
    chart = room - metrics if width >= CHART_WIDTH and height >= CHART_HEIGHT and room - metrics >= 8 else 0
    if not chart:
        beneath = max(room - metrics, 0)
        back = min(beneath, max(0, room - demand.items - 5))
        log, room = log + back, room - back
        metrics = room
    return Rows(
        wide=True, side=min(64, width // 3), banner=demand.banner, panel=demand.panel, metrics=metrics,
        tall=tall, chart=chart, checklist=room, next=coming, log=log,
    )  # fmt: skip
