"""The panel of a rollback's stopwatch, and of how a release ended. Pure."""

from __future__ import annotations

from engine.events import ENGINE
from engine.state import GOING_BACK, Phase, State, Stopwatch
from tui.times import clock, lap, span
from widgets.glyphs import Glyphs
from widgets.notes import Panel, PanelRow
from widgets.stage_bar import weight_list


def panel(state: State, at: float, glyphs: Glyphs) -> Panel | None:
    """What stands above the metrics now: None while the release goes forward."""
    if state.phase in GOING_BACK:
        return _going_back(state, at, glyphs)
    if state.phase is Phase.ROLLED_BACK:
        return _rolled_back(state, glyphs)
    if state.phase is Phase.PROMOTED:
        return _promoted(state, at, glyphs)
    if state.phase is Phase.CANCELLED:
        return Panel(f"{glyphs.failed} CANCELLED before any traffic moved", "caution", (PanelRow("why", state.ending),))
    return None


def _going_back(state: State, at: float, glyphs: Glyphs) -> Panel:
    watch = state.rollback
    assert watch is not None
    word = "ROLLBACK FAILED, still trying" if state.phase is Phase.ROLLBACK_FAILED else "ROLLING BACK"
    title = f"{glyphs.back} {word}   {span(at - watch.accepted)} of {span(state.rules.budget_s)} budget"
    rows = [PanelRow("why", _why(watch), "bold"), *_laps(watch, glyphs)]
    said = state.intent.detail if state.intent is not None and not state.intent.ok else ""
    waiting = "nothing of stable is ready to take the traffic" if state.intent is None else said
    if waiting:
        rows.append(PanelRow("waits for", waiting, "bad"))
    return Panel(title, "alarm", tuple(rows))


def _rolled_back(state: State, glyphs: Glyphs) -> Panel:
    watch = state.rollback
    assert watch is not None
    took = (watch.done or watch.accepted) - watch.asked
    title = f"{glyphs.back} ROLLED BACK in {took:.1f} s: all traffic is on stable {state.stable}"
    rows = [PanelRow("why", _why(watch), "bold"), *_laps(watch, glyphs), _course(state, glyphs)]
    return Panel(title, "alarm", tuple(rows))


def _why(watch: Stopwatch) -> str:
    """The reason, and who it was if it was not the engine."""
    return watch.reason if watch.who == ENGINE else f"{watch.reason} (by {watch.who})"


def _laps(watch: Stopwatch, glyphs: Glyphs) -> list[PanelRow]:
    """Two rows of laps since the key was pressed (or the verdict fell); a lap to come is said to be one."""
    arrow = f" {glyphs.arrow} "
    first = [f"asked {clock(watch.asked)}", f"accepted {lap(watch.accepted - watch.asked)}"]
    for name, when in (("written", watch.written), ("observed", watch.observed)):
        first.append(f"{name} {lap(when - watch.asked)}" if when is not None else f"{name} ...")
    second = [
        f"{name} {lap(when - watch.asked)}" if when is not None else f"{name} ..."
        for name, when in (("last canary request", watch.last_canary_request), ("recovered", watch.recovered))
    ]
    return [PanelRow("stopwatch", arrow.join(first)), PanelRow("", arrow.join(second))]


def _promoted(state: State, at: float, glyphs: Glyphs) -> Panel:
    title = f"{glyphs.done} PROMOTED: {state.canary} serves all traffic"
    kept = state.keep_until is not None and at <= state.keep_until
    if kept and state.keep_until is not None:
        left = span(state.keep_until - at)
        old = PanelRow("old side", f"kept until {clock(state.keep_until)} ({left} left): R rolls back at once", "bold")
    else:
        old = PanelRow("old side", f"not kept any more; by hand: {state.manual_rollback}")
    return Panel(title, "good", (old, _course(state, glyphs), _open_items(state)))


def _course(state: State, glyphs: Glyphs) -> PanelRow:
    took = span((state.ended_at or state.created_at) - state.created_at)
    weights = weight_list(state.weights, glyphs.arrow, 48) or "no traffic moved"
    return PanelRow("course", f"{weights}, {took} in all")


def _open_items(state: State) -> PanelRow:
    still = [item.item.id for listed in ("pre", "during", "post") for item in state.open_items(listed)]
    return PanelRow(
        "still open", f"{len(still)} items: {', '.join(still)}" if still else "nothing: every item is settled"
    )
