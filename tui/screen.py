"""The one persistent screen: its parts, their places, and how a view reaches them."""

from __future__ import annotations

from dataclasses import replace

from textual.app import ComposeResult
from textual.containers import Container
from textual.screen import Screen

from tui.feed import Link
from tui.layout import LEAST_HEIGHT, LEAST_WIDTH, Demand, Rows, arrange, reason_rows, too_small
from tui.view import View
from widgets.chart import Chart
from widgets.checklist import Checklist
from widgets.glyphs import Glyphs
from widgets.lanes import RoadLanes
from widgets.lines import Lines
from widgets.metrics_table import MetricsTable
from widgets.notes import Banner, EventLog, KeyLine, MessageLine, NextAction, PanelRows, Said, panel_lines
from widgets.plain import wrap
from widgets.stage_bar import StageBar
from widgets.status import StatusRows

BANNER_ROWS = 6  # a manual command must be seen whole


class Main(Screen[None]):
    """Status, road, metrics, checklist, what comes, log, message, keys. Too small: one line that says so."""

    def __init__(self, glyphs: Glyphs, release: str) -> None:
        super().__init__()
        self.glyphs = glyphs
        self.release = release
        self._rows: Rows | None = None

    def compose(self) -> ComposeResult:
        with Container(id="cockpit"):
            yield StatusRows(glyphs=self.glyphs, id="status")
            yield Banner(glyphs=self.glyphs, id="banner")
            yield StageBar(glyphs=self.glyphs, id="stages")
            yield RoadLanes(glyphs=self.glyphs, id="lanes")
            yield PanelRows(glyphs=self.glyphs, id="panel")
            with Container(id="body"):
                with Container(id="left"):
                    yield MetricsTable(glyphs=self.glyphs, id="metrics")
                    yield Chart(glyphs=self.glyphs, id="chart")
                with Container(id="right"):
                    yield Checklist(glyphs=self.glyphs, id="checklist")
            yield NextAction(glyphs=self.glyphs, id="next")
            yield EventLog(glyphs=self.glyphs, id="log")
            yield MessageLine(glyphs=self.glyphs, id="message")
            yield KeyLine(glyphs=self.glyphs, id="keys")
        yield MessageLine(glyphs=self.glyphs, id="small")

    def show(self, view: View, said: Said) -> None:
        """Give every part its slice; a part that sees nothing new paints nothing."""
        size = self.app.size
        small = too_small(size.width, size.height)
        self._show_cockpit(whole=not small)
        if small:
            self._show_small(view, said, size.width, size.height)
            return
        rows = arrange(size.width, size.height, self._demand(view, size.width))
        self._place(rows)
        self.query_one(StatusRows).show(view.status)
        self.query_one(StageBar).show(view.stages)
        self.query_one(RoadLanes).show(view.lanes)
        self.query_one(MetricsTable).show(replace(view.metrics, tall=rows.tall, reason_rows=reason_rows(size.height)))
        self.query_one(Checklist).show(view.checklist)
        self.query_one(NextAction).show(view.coming)
        self.query_one(EventLog).show(view.log)
        self.query_one(KeyLine).show(view.keys)
        self.query_one("#message", MessageLine).show(said)
        if view.banner is not None:
            self.query_one(Banner).show(view.banner)
        if view.panel is not None:
            self.query_one(PanelRows).show(view.panel)
        if rows.chart and view.chart is not None:
            self.query_one(Chart).show(view.chart)

    def show_nothing_yet(self, link: Link, lost: str) -> None:
        """Before the first event."""
        self._show_cockpit(whole=False)
        why = f": {lost}" if lost else ""
        self.query_one("#small", MessageLine).show(Said(f"{self.release}: {link}{why}; q leaves"))

    def _show_cockpit(self, *, whole: bool) -> None:
        self.query_one("#cockpit").display = whole
        self.query_one("#small").display = not whole

    def _show_small(self, view: View, said: Said, width: int, height: int) -> None:
        """The size needed, where the release stands, and the keys that still work."""
        status = view.status
        need = f"needs {LEAST_WIDTH}x{LEAST_HEIGHT}, has {width}x{height}"
        keys = "read-only, q detaches" if status.mode else "R rolls back, q detaches"
        text = f"{status.sign} {status.phase}, {status.weight}; {need}; {keys}"
        if said.text:
            text = f"{said.text}; {need}"
        self.query_one("#small", MessageLine).show(Said(text, status.tone))

    def _demand(self, view: View, width: int) -> Demand:
        banner = 0
        if view.banner is not None:
            banner = len(wrap(f"{view.banner.title} {view.banner.text}", width - 4, BANNER_ROWS))
        return Demand(
            metrics=max(1, len(view.metrics.rows)),
            items=len(view.checklist.rows),
            banner=banner,
            panel=0 if view.panel is None else len(panel_lines(view.panel, width)),
            checklist_focused=isinstance(self.focused, Checklist),
        )

    def _place(self, rows: Rows) -> None:
        """Heights that changed; most looks change none."""
        if rows == self._rows:
            return
        self._rows = rows
        self.query_one("#body").set_class(rows.wide, "wide")
        self.query_one("#right").styles.width = rows.side if rows.wide else "1fr"
        heights: tuple[tuple[type[Lines], int], ...] = (
            (Banner, rows.banner),
            (PanelRows, rows.panel),
            (MetricsTable, rows.metrics),
            (Chart, rows.chart),
            (Checklist, rows.checklist),
            (NextAction, rows.next),
            (EventLog, rows.log),
        )
        for part, height in heights:
            self._set_height(self.query_one(part), height)

    @staticmethod
    def _set_height(part: Lines, height: int) -> None:
        part.styles.height = height
        part.display = height > 0
