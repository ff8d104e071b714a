"""Follows one release and paints it. Gives no orders: the keys that do are in `tui.app`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from textual.app import App
from textual.filter import LineFilter
from textual.worker import Worker, WorkerState

import themes
from engine import events as ev
from engine.client import EngineGone, EngineRefused, Here
from engine.events import Event
from engine.state import Phase, State
from tui.desk import Desk
from tui.feed import EngineClient, Pulse, follow
from tui.people import You, comings, others
from tui.screen import Main
from tui.story import Story
from tui.times import clock
from tui.view import Scene, look
from widgets.ascii import AsciiOnly
from widgets.checklist import Checklist
from widgets.glyphs import ASCII, UNICODE, Glyphs
from widgets.metrics_table import MetricsTable

SOON_S = 0.05  # events that come together are painted together


@dataclass(frozen=True, slots=True)
class Left:
    """How the cockpit was left: the release's last known phase, and whether the demo's sandbox was stopped."""

    phase: Phase | None
    stopped: bool = False


class Watch(App[Left]):
    """One release on one persistent screen. `now` is this machine's time in seconds since the epoch."""

    CSS_PATH = themes.STYLESHEET
    TITLE = "laneshift"

    def __init__(
        self,
        client: EngineClient,
        release: str,
        *,
        theme: str = themes.DEFAULT,
        themes_folder: Path | None = None,
        demo: bool = False,
        glyphs: Glyphs = UNICODE,
        now: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self.client = client
        self.release = release
        self.is_demo = demo
        self.glyphs = glyphs
        self.pulse = Pulse(now, you=You(client.who))
        self.desk = Desk(client, release, self.pulse)
        self.story = Story()
        self.painted: State | None = None
        self._wanted_theme = theme
        self._themes_folder = themes_folder
        self._chosen_metric = 0
        self._chosen_item = 0
        self._paint_is_due = False
        self._settled_in = False
        self._seen_here: tuple[Here, ...] | None = None
        self._known: set[tuple[str, str]] = set()

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Without Unicode, text from outside and Textual's own frames are made of ASCII as well."""
        own = [AsciiOnly()] if self.glyphs == ASCII else []
        return [*super().get_line_filters(), *own]

    def get_default_screen(self) -> Main:
        return Main(self.glyphs, self.release)

    @property
    def main(self) -> Main:
        """The screen under all dialogs."""
        screen = self.screen_stack[0]
        assert isinstance(screen, Main)
        return screen

    def on_mount(self) -> None:
        """Paint first, connect after."""
        self._use_theme()
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        self.paint()
        self.set_interval(1.0, self.paint)
        self._start_following()
        self._take_users_themes()

    def on_resize(self) -> None:
        """Another size may be another arrangement."""
        self.call_after_refresh(self.paint)

    # --- what is heard

    def _start_following(self) -> None:
        following = follow(self.client, self.release, self.pulse, self.hear, self._beaten)
        self.run_worker(following, name="feed", group="feed", exclusive=True, exit_on_error=False)

    def hear(self, event: Event) -> None:
        """One more event of the release."""
        self.story.hear(event)
        self.desk.hear(event)
        live = self.pulse.last_beat is not None
        if live and isinstance(event, ev.AlertRaised | ev.RollbackLate | ev.GlassBroken):
            self.bell()
        if live and isinstance(event, ev.StageEntered) and event.stage == 0:
            self.main.query_one(MetricsTable).focus()
        if isinstance(event, ev.ItemTicked | ev.ItemWaived) and event.item == self.scene().item:
            self._choose_open_item()
        self.paint_soon()

    def _beaten(self) -> None:
        """The engine gave a sign, or the line is lost: who came and went, and how long nothing was heard."""
        pulse = self.pulse
        if pulse.lost:
            self._seen_here = None  # who is there once it is back has not just come
        elif self._seen_here is None:
            self.run_worker(
                self._learn_who_asks(), name="who asks", group="who asks", exclusive=True, exit_on_error=False
            )
            self._seen_here = others(pulse.here, pulse.you)
        else:
            before, self._seen_here = self._seen_here, others(pulse.here, pulse.you)
            for said in comings(before, self._seen_here, self._known):
                self.story.remark(pulse.engine_time(), said)
            self._known -= {(one.who, one.where) for one in before}  # who left comes anew; who was cut off only back
            self._known |= {(one.who, one.where) for one in self._seen_here}
        if pulse.gap is not None:
            gap, pulse.gap = pulse.gap, None
            late = f"; {gap.missed} events came late" if gap.missed else "; nothing was missed"
            said = f"nothing was heard of the engine from {clock(gap.since)} to {clock(gap.until)}{late}"
            self.story.remark(gap.until, said, "warn")
        self.paint_soon()

    async def _learn_who_asks(self) -> None:
        """How the engine knows this cockpit; an engine that does not say leaves the name of this machine."""
        try:
            told = (await asyncio.to_thread(self.client.ask, "GET", "/v1/engine")).get("you") or {}
        except (EngineGone, EngineRefused):
            return
        if told.get("who"):
            self.pulse.you = You(told["who"], told.get("where", ""))
            self._seen_here = others(self.pulse.here, self.pulse.you)
            self.paint_soon()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """A fault of the cockpit's own is said and survived: the keys must go on working."""
        if event.state is WorkerState.ERROR:
            self.say(f"the cockpit stumbled ({event.worker.name}): {event.worker.error!r}", "bad")
            if event.worker.name == "feed":
                self.set_timer(1.0, self._start_following)

    # --- what is shown

    def scene(self) -> Scene:
        """All that decides what is shown now."""
        last = self.pulse.last_beat
        return Scene(
            story=self.story,
            at=self.pulse.engine_time(),
            link=self.pulse.link(),
            glyphs=self.glyphs,
            heard_at=None if last is None else last + self.pulse.ahead,
            lost=self.pulse.lost,
            notices=self.pulse.notices,
            chosen_metric=self._chosen_metric,
            chosen_item=self._chosen_item,
            demo=self.is_demo,
            here=self.pulse.here,
            you=self.pulse.you,
            read_only=self.client.read_only,
        )

    def paint_soon(self) -> None:
        """Paint what was heard, together with what is heard in the next moment."""
        if not self._paint_is_due:
            self._paint_is_due = True
            self.set_timer(SOON_S, self.paint)

    def paint(self) -> None:
        """One look at the release, in one update."""
        self._paint_is_due = False
        if not self.screen_stack or not self.main.is_mounted:
            return  # the app is closing, or not there yet
        self._settle_in()
        scene = self.scene()
        view = look(scene)
        self.painted = scene.story.state
        with self.batch_update():
            if view is None:
                self.main.show_nothing_yet(scene.link, scene.lost)
            else:
                self.main.show(view, self.desk.message())

    def say(self, text: str, tone: str = "warn") -> None:
        """One line to the person at the keys."""
        self.desk.say(text, tone)
        self.paint_soon()

    def _settle_in(self) -> None:
        """When the release is first seen live: to the checklist while it gates the start, else to the metrics."""
        state = self.story.state
        if self._settled_in or state is None or self.pulse.last_beat is None:
            return
        self._settled_in = True
        self._choose_open_item()
        waiting = state.phase is Phase.PREFLIGHT and state.open_items("pre")
        self.main.query_one(Checklist if waiting else MetricsTable).focus()

    # --- choosing

    def on_metrics_table_chosen(self, event: MetricsTable.Chosen) -> None:
        """Another metric."""
        table = self.main.query_one(MetricsTable).value
        count = len(table.rows) if table is not None else 0
        self._chosen_metric = max(0, min(self._chosen_metric + event.step, count - 1))
        self.paint()

    def on_checklist_chosen(self, event: Checklist.Chosen) -> None:
        """Another item."""
        count = len(self.story.state.items) if self.story.state is not None else 0
        self._chosen_item = max(0, min(self._chosen_item + event.step, count - 1))
        self.paint()

    def on_descendant_focus(self) -> None:
        """The list that has the keys gets the rows."""
        self.paint_soon()

    def _choose_open_item(self) -> None:
        """The next item that is open, from the chosen one on."""
        items = list(self.story.state.items.values()) if self.story.state is not None else []
        still = [number for number, item in enumerate(items) if not item.settled]
        self._chosen_item = next((n for n in still if n >= self._chosen_item), self._chosen_item)

    # --- themes

    def _use_theme(self) -> None:
        """The wanted theme if it is a built-in one; a user's own comes with `_take_users_themes`."""
        try:
            theme = themes.load(self._wanted_theme)
        except themes.ThemeError:
            theme = themes.load(themes.DEFAULT)
        self.register_theme(theme)
        self.theme = theme.name

    def _take_users_themes(self) -> None:
        found, broken = themes.users_own(self._themes_folder) if self._themes_folder is not None else ([], [])
        for theme in found:
            self.register_theme(theme)
        names = {theme.name for theme in found}
        if self._wanted_theme in names:
            self.theme = self._wanted_theme
        elif self._wanted_theme != self.theme:
            broken.append(f"there is no theme {self._wanted_theme!r}; there are {', '.join(themes.built_in())}")
        if broken:
            self.notify("\n".join(broken), title="theme", severity="warning", markup=False)

    def action_theme(self) -> None:
        """The next theme: built-in ones, then the user's own."""
        for name in themes.built_in():
            self.register_theme(themes.load(name))
        own = themes.users_own(self._themes_folder)[0] if self._themes_folder is not None else []
        names = [*themes.built_in(), *(theme.name for theme in own)]
        following = names[(names.index(self.theme) + 1) % len(names)] if self.theme in names else names[0]
        self.theme = following
        self.say(f"theme: {following}", "dim")
