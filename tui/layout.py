"""How many rows each part of the screen gets: a pure function of the terminal's size and what must be shown."""

from __future__ import annotations

from dataclasses import dataclass

LEAST_WIDTH, LEAST_HEIGHT = 80, 24
WIDE = 120  # from here on the checklist stands beside the metrics
CHART_WIDTH, CHART_HEIGHT = 160, 44  # from here on the chosen metric has a chart
ALWAYS = 2 + 2 + 2 + 1 + 1  # status, stages, lanes, message, keys


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
    """Heights in rows; 0 hides a part. `wide`: checklist and panel stand beside the metrics, `side` cells wide."""

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


def arrange(width: int, height: int, demand: Demand) -> Rows:
    """Divide the rows of a terminal of at least 80x24."""
    if width >= WIDE:
        return _wide(width, height, demand)
    return _narrow(height, demand)


def _narrow(height: int, demand: Demand) -> Rows:
    coming = 2 if height < 30 else 3
    room = height - ALWAYS - coming - demand.banner - demand.panel
    log = 3 if room >= 14 else 2
    room -= log
    if demand.checklist_focused:
        metrics = min(1 + demand.metrics + 2, max(4, room - demand.items - 1, room // 3))
        checklist = room - metrics
    else:
        checklist = 1 if demand.panel else 3
        metrics = min(room - checklist, 1 + demand.metrics + 2)
        spare = room - checklist - metrics
        more = min(spare, demand.items + 3 - checklist)
        checklist, log = checklist + max(0, more), log + spare - max(0, more)
    return Rows(
        wide=False, side=0, banner=demand.banner, panel=demand.panel, metrics=metrics, tall=False, chart=0,
        checklist=checklist, next=coming, log=log,
    )  # fmt: skip


def _wide(width: int, height: int, demand: Demand) -> Rows:
    coming = 3
    room = height - ALWAYS - coming - demand.banner
    log = max(5, min(10, room // 4))
    room -= log
    tall = room >= 1 + 2 * demand.metrics + 2
    metrics = 1 + (2 if tall else 1) * demand.metrics + 2
    metrics = min(metrics, room)
    chart = room - metrics if width >= CHART_WIDTH and height >= CHART_HEIGHT and room - metrics >= 8 else 0
    if not chart:
        beneath = max(room - metrics, 0)
        side_rows = demand.panel + demand.items + 4
        back = min(beneath, max(0, room - side_rows))
        log, room = log + back, room - back
        metrics = room
    return Rows(
        wide=True, side=max(42, min(64, width // 3)), banner=demand.banner, panel=demand.panel, metrics=metrics,
        tall=tall, chart=chart, checklist=room - demand.panel, next=coming, log=log,
    )  # fmt: skip
