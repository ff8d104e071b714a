"""The two rows at the top: what is released, where it stands, and whether anybody guards it."""

from __future__ import annotations

from dataclasses import dataclass

from widgets.lines import Line, Pane, line, line_width, spread

SUMMARY_FROM = 120  # cells; below, what is released stands alone


@dataclass(frozen=True, slots=True)
class Status:
    """Words only; the tones are roles of `widgets.lines`. `alerts` is empty when nothing rings, `way_back` when the
    router can't try it. `people` are the others who are here, said at several lengths, the longest first; `mode` is a
    word about this cockpit, `aside` what is said after the detail where there is room."""

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
    way_back: str = ""
    way_back_tone: str = "dim"
    summary: str = ""
    mode: str = ""
    aside: str = ""
    people: tuple[str, ...] = ()


class StatusRows(Pane[Status]):
    """First row: service, versions, who, time. Second row: phase, weight, alert, engine."""

    DEFAULT_CSS = "StatusRows { height: 2; }"

    def draw_value(self, value: Status, width: int, _height: int) -> list[Line]:
        dot = self.glyphs.dot
        named = line((f" {value.service}", "title"), f"  {value.versions}", (f"  {dot} {value.release}", "dim"))
        people = self._people(value, width - line_width(named))
        if value.summary and width >= SUMMARY_FROM:
            named = (*named, *line((f"  {dot} {value.summary}", "dim")))
        alert = line((f" {self.glyphs.alert} ALERT {value.alerts} ", "caution"), " ") if value.alerts else ()
        mode = line((f" {value.mode} ", "caution"), " ") if value.mode else ()
        guard = (*mode, *alert, *line((value.link, value.link_tone), " "))
        phase = self._phase(value, f"{value.detail}, {value.aside}" if value.aside else value.detail)
        if line_width(phase) + line_width(guard) >= width:
            phase = self._phase(value, value.detail)
        if value.way_back:
            tried = (*line((value.way_back, value.way_back_tone), f" {dot} "), *guard)
            if line_width(phase) + line_width(tried) < width or value.way_back_tone == "alarm":
                guard = tried
        if line_width(phase) + line_width(guard) >= width:
            phase = self._phase(value, "")
        return [spread(named, people, width), spread(phase, guard, width)]

    def _people(self, value: Status, room: int) -> Line:
        """Who else is here, in the longest words that leave the rest of the row whole; alone: who started it."""
        said, role = (value.people, "key") if value.people else ((f"started by {value.who}",), "dim")
        shown = [line((words, role), f"  {value.clock} ") for words in said]
        return next((one for one in shown if line_width(one) < room), shown[-1])

    def _phase(self, value: Status, detail: str) -> Line:
        """Sign, phase and weight; the detail is what goes first when room is short."""
        shown = f" {detail}" if detail else ""
        return line(" ", (f" {value.sign} {value.phase} ", value.tone), shown, f" {self.glyphs.dot} {value.weight}")
