"""The two rows at the top: what is released, where it stands, and whether anybody guards it."""

from __future__ import annotations

from dataclasses import dataclass

from widgets.lines import Line, Pane, line, spread


@dataclass(frozen=True, slots=True)
class Status:
    """Words only; `tone` and `link_tone` are roles of `widgets.lines`. `alerts` is empty when nothing rings."""

    service: str
    versions: str
    release: str
    who: str
    clock: str
    sign: str
    phase: str
    tone: str
    detail: str
    weight: str
    alerts: str
    link: str
    link_tone: str


class StatusRows(Pane[Status]):
    """First row: service, versions, who, time. Second row: phase, weight, alert, engine."""

    DEFAULT_CSS = "StatusRows { height: 2; }"

    def draw_value(self, value: Status, width: int, _height: int) -> list[Line]:
        dot = self.glyphs.dot
        named = line((f" {value.service}", "title"), f"  {value.versions}", (f"  {dot} {value.release}", "dim"))
        started = line((f"started by {value.who}  ", "dim"), f"{value.clock} ")
        phase = line(
            " ",
            (f" {value.sign} {value.phase} ", value.tone),
            f" {value.detail}" if value.detail else "",
            f"  {dot} {value.weight}" if value.weight else "",
        )
        alert = line((f" {self.glyphs.alert} ALERT {value.alerts} ", "caution"), " ") if value.alerts else ()
        guard = (*alert, *line((value.link, value.link_tone), " "))
        return [spread(named, started, width), spread(phase, guard, width)]
