"""What the screen shows, made of what is known: pure functions from the story to the rows that the widgets take."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.client import Here
from engine.events import Step
from engine.gates import blockers, refusal
from engine.outlook import outlook
from engine.state import FINAL, FORWARD, GOING_BACK, ItemState, Phase, State
from tui.commands import HELP_ONLY, Command, commands, label_of, obstacle, verb_of
from tui.feed import Link
from tui.people import You, company
from tui.story import Story
from tui.times import clock, span
from tui.view_end import panel
from tui.view_gate import approval_words
from tui.view_metrics import chart_of, metric_table
from tui.view_stages import since_tick, stages
from widgets.chart import ChartData
from widgets.checklist import ChecklistRows, ItemRow, Mark
from widgets.glyphs import Glyphs
from widgets.lanes import Lanes
from widgets.metrics_table import MetricTable
from widgets.notes import Coming, KeyHint, LogLine, Notice, Panel
from widgets.plain import brief
from widgets.stage_bar import StageCell
from widgets.status import Status

LOUD_S = 600.0  # how long broken glass stands above everything; the log keeps it


@dataclass(frozen=True, slots=True)
class Scene:
    """All that decides what is shown. `at` is the engine's time, `heard_at` its last beat, both in seconds."""

    story: Story
    at: float
    link: Link
    glyphs: Glyphs
    heard_at: float | None = None
    lost: str = ""
    notices: tuple[str, ...] = ()
    chosen_metric: int = 0
    chosen_item: int = 0
    demo: bool = False
    here: tuple[Here, ...] = ()
    you: You = field(default_factory=lambda: You(""))
    read_only: bool = False

    def obstacle(self, command: Command, state: State | None, item: str | None = None) -> str:
        """Why the command would do nothing to what `state` shows; `item`: another than the chosen one."""
        chosen = self.item if item is None else item
        return obstacle(command, state, self.at, self.link, chosen, who=self.you.who, read_only=self.read_only)

    @property
    def silent(self) -> bool:
        """The engine was heard and is not any more: what is shown may be old."""
        return self.link in (Link.STALE, Link.GONE)

    @property
    def item(self) -> str:
        """The id of the chosen checklist item."""
        items = list(self.story.state.items) if self.story.state is not None else []
        return items[min(self.chosen_item, len(items) - 1)] if items else ""


@dataclass(frozen=True, slots=True)
class View:
    """One look at the release, ready for the widgets."""

    status: Status
    stages: tuple[StageCell, ...]
    lanes: Lanes
    metrics: MetricTable
    chart: ChartData | None
    checklist: ChecklistRows
    coming: Coming
    log: tuple[LogLine, ...]
    keys: tuple[KeyHint, ...]
    banner: Notice | None
    panel: Panel | None


def look(scene: Scene) -> View | None:
    """Everything at once; None while nothing of the release is known."""
    state = scene.story.state
    if state is None:
        return None
    metrics = metric_table(scene.story, state, scene.glyphs, scene.chosen_metric)
    return View(
        status=status(state, scene),
        stages=stages(state, scene.at),
        lanes=lanes(state),
        metrics=metrics,
        chart=chart_of(scene.story, state, metrics.chosen, scene.at),
        checklist=checklist(state, scene.chosen_item),
        coming=coming(state, scene),
        log=tuple(LogLine(clock(entry.at), entry.text, entry.tone) for entry in list(scene.story.log)[-60:]),
        keys=keys(scene),
        banner=banner(scene),
        panel=panel(state, scene.at, scene.glyphs),
    )


# --- status


def phase_words(state: State, at: float, glyphs: Glyphs) -> tuple[str, str, str]:
    """Sign, word and role of where the release stands."""
    if state.phase in _ENDS:
        sign, word, tone = _ENDS[state.phase]
        return getattr(glyphs, sign), word, tone
    if state.questions:
        return glyphs.asks, "ASKS", "caution"
    if state.holds:
        return glyphs.held, "HELD", "caution"
    if state.paused_by:
        return glyphs.paused, "PAUSED", "chosen"
    if state.phase is Phase.FINISHING:
        return glyphs.now, "FINISHING", "bold"
    ready = not blockers(state, at)
    if state.phase is Phase.PREFLIGHT:
        return (glyphs.done, "READY TO START", "chosen") if ready else (glyphs.ahead, "PREFLIGHT", "bold")
    if state.step is Step.GATE:
        return (glyphs.done, "READY", "chosen") if ready else (glyphs.now, "WAITING", "bold")
    return glyphs.now, _STEP_WORDS[state.step], "bold"


_ENDS = {
    Phase.ROLLING_BACK: ("back", "ROLLING BACK", "alarm"),
    Phase.ROLLBACK_FAILED: ("failed", "ROLLBACK FAILED", "alarm"),
    Phase.ROLLED_BACK: ("back", "ROLLED BACK", "alarm"),
    Phase.PROMOTED: ("done", "PROMOTED", "good"),
    Phase.CANCELLED: ("failed", "CANCELLED", "caution"),
}
_STEP_WORDS = {Step.SHIFT: "SHIFTING", Step.WARMUP: "WARMING UP", Step.BAKE: "BAKING", Step.CHECKS: "CHECKING"}


def status(state: State, scene: Scene) -> Status:
    """The two rows at the top."""
    sign, word, tone = phase_words(state, scene.at, scene.glyphs)
    link, link_tone = _link_words(scene)
    way_back, way_back_tone = _way_back_words(state, scene)
    stage = f"stage {state.stage + 1} of {len(state.rules.stages)}" if state.phase is Phase.STAGE else ""
    if scene.silent and scene.heard_at is not None:
        stage, tone = f"as of {clock(scene.heard_at)}", "dim"
    canary = brief(state.canary or state.canary_wanted or "canary not there yet", 20)
    versions = f"{brief(state.stable, 20)} {scene.glyphs.arrow} {canary}" if state.stable else canary
    return Status(
        service=brief(state.service, 24),
        versions=versions,
        release=f"{state.release}{' (demo)' if scene.demo else ''}",
        mode="READ-ONLY" if scene.read_only else "",
        who=brief(state.who, 20),
        people=() if scene.silent else company(scene.here, scene.you),
        clock=clock(scene.at),
        sign=sign,
        phase=word,
        tone=tone,
        detail=stage,
        aside="" if scene.silent else approval_words(state),
        weight=weight_words(state),
        alerts=_alert_words(state),
        way_back=way_back,
        way_back_tone=way_back_tone,
        summary=state.summary,
        link=link,
        link_tone=link_tone,
    )


def _alert_words(state: State) -> str:
    """The metric that rings, and how many more do."""
    ringing = list(state.alerts) if state.phase in FORWARD else []
    return f"{ringing[0]}{f' +{len(ringing) - 1}' if ringing[1:] else ''}" if ringing else ""


def weight_words(state: State) -> str:
    """The weight, always split into what is wanted and what was read."""
    seen = "?" if state.observed is None else f"{state.observed:g}%"
    if state.share is not None:
        seen = f"{seen} (truly {state.share:.3g}%)"
    return f"{seen} observed, {state.desired}% desired"


def _way_back_words(state: State, scene: Scene) -> tuple[str, str]:
    """Whether the way back's write would get through, as tried without effect; nothing where that can't be tried."""
    if scene.silent or (state.phase in FINAL and state.keep_until is None) or state.phase in GOING_BACK:
        return "", "dim"
    if state.way_back_problem:
        return f" {scene.glyphs.failed} WAY BACK ", "alarm"
    if state.way_back_at is None:
        return "", "dim"
    seconds = max(0.0, scene.at - state.way_back_at)
    return f"way back ok, {f'{seconds:.0f} s' if seconds < 100 else span(seconds)} ago", "dim"


def _link_words(scene: Scene) -> tuple[str, str]:
    if scene.link is Link.CONNECTED:
        return f"{scene.glyphs.done} engine", "good"
    if scene.link is Link.CONNECTING:
        return "connecting", "dim"
    word = "STALE" if scene.link is Link.STALE else "NO ENGINE"
    return f" {scene.glyphs.failed} {word} ", "alarm"


# --- road


def lanes(state: State) -> Lanes:
    """The road, with how many of each side are ready where the router tells."""
    wanted = (state.full, state.canary_asked)
    ready = (state.stable_ready, state.canary_ready)
    notes = [_ready_words(has, wants) for has, wants in zip(ready, wanted, strict=True)]
    canary = state.canary or state.canary_wanted
    return Lanes(state.stable, canary, float(state.desired), state.observed, notes[0], notes[1])


def _ready_words(ready: int | None, wanted: int | None) -> str:
    if ready is None:
        return ""
    return f"{ready} of {wanted} ready" if wanted and wanted != ready else f"{ready} ready"


# --- lists


def checklist(state: State, chosen: int) -> ChecklistRows:
    """All items; the list that matters now is the one of this part of the release."""
    current = "pre" if state.phase is Phase.PREFLIGHT else "post" if state.phase in FINAL else "during"
    rows = tuple(_item(item) for item in state.items.values())
    return ChecklistRows(rows, min(chosen, max(0, len(rows) - 1)), current)


def _item(item: ItemState) -> ItemRow:
    why = item.evidence or item.note
    by = f"{item.who}{f': {why}' if why else ''}" if item.mark != "open" else ""
    marks: dict[str, Mark] = {"done": "done", "waived": "waived", "n/a": "n/a"}
    return ItemRow(item.item.id, item.item.list, item.item.text, marks.get(item.mark, "open"), item.who, by)


# --- what comes


def coming(state: State, scene: Scene) -> Coming:
    """What is waited for, until when, what then, and which keys act."""
    acts = _acting(state, scene)
    if scene.silent:
        heard = f", last heard at {clock(scene.heard_at)}" if scene.heard_at is not None else ""
        return Coming(f"a word from the engine{heard}", "", "what stands here may be old", acts)
    seen = outlook(state, scene.at)
    left = ""
    if seen.until is not None:
        until = seen.until - (since_tick(state, scene.at) if state.phase is Phase.STAGE and _counts_down(state) else 0)
        left = f"{span(until - scene.at)} left, until {clock(until)}"
    then = seen.then
    if (
        state.step is Step.BAKE
        and _counts_down(state)
        and not state.rules.auto_advance
        and not state.holds
        and not state.paused_by
    ):
        then = f"{then}, once you advance"
    still = len(state.open_items("post"))
    if state.phase in FINAL and still:
        then = f"{then}; after list: {still} open"
        acts = (*acts, ("c", "list"))
    return Coming(seen.waits_for, left, then, acts)


def _counts_down(state: State) -> bool:
    return state.phase is Phase.STAGE and state.step in (Step.WARMUP, Step.BAKE) and not state.questions


def _acting(state: State, scene: Scene) -> tuple[tuple[str, str], ...]:
    """Keys that help now: those the outlook names, and the way back while there is one to go."""
    verbs = list(outlook(state, scene.at).orders)
    if state.moved and "rollback" not in verbs and state.phase not in FINAL and state.phase not in GOING_BACK:
        verbs.append("rollback")
    found = []
    for verb in verbs:
        able = [command for command in commands(demo=scene.demo) if verb_of(command, state) == verb]
        live = [c for c in able if not scene.obstacle(c, state, _item_for(c, scene)) and not _too_early(c, scene)]
        found += [(command.key, label_of(command, state)) for command in live[:1]]
    return tuple(found)


def _item_for(command: Command, scene: Scene) -> str:
    """The chosen item; for the question whether anything can be ticked, the first open one does as well."""
    state = scene.story.state
    if state is None or not command.needs_item:
        return ""
    still = [item.item.id for item in state.items.values() if not item.settled]
    return scene.item if scene.item in still or not still else still[0]


# --- rows of words


def keys(scene: Scene) -> tuple[KeyHint, ...]:
    """The key line: what would be refused now is dimmed."""
    hints = []
    for command in commands(demo=scene.demo):
        live = not scene.obstacle(command, scene.story.state) and not _too_early(command, scene)
        if command.rank < HELP_ONLY and (live or (command.rank <= 5 and not command.when_live)):
            hints.append(KeyHint(command.key, label_of(command, scene.story.state), live, command.rank))
    return tuple(hints)


def _too_early(command: Command, scene: Scene) -> bool:
    """An approval that would need a reason, for its gate is not reached: possible, and nothing to invite people to."""
    state = scene.story.state
    if command.name != "approve" or state is None:
        return False
    return bool(refusal(state, "approve", scene.at, stage=state.stage, revision=state.revision, who=scene.you.who))


def banner(scene: Scene) -> Notice | None:
    """What must not be missed: no engine, a stale screen, a late rollback, a journal that hangs."""
    state = scene.story.state
    by_hand = f" By hand: {state.manual_rollback}" if state is not None and not _over(state, scene.at) else ""
    if scene.link is Link.GONE:
        return Notice("NO ENGINE: nothing is guarded.", f"{scene.lost}; trying again.{by_hand}")
    if scene.link is Link.STALE and scene.heard_at is not None:
        heard = f"No word from the engine since {clock(scene.heard_at)}; what stands here may be old."
        works = "Trying again." if scene.read_only else "Advance waits, R works."
        return Notice("STALE.", f"{heard} {works}")
    if state is None:
        return None
    if state.late:
        return Notice("ROLLBACK LATE.", f"{state.late}.{by_hand}")
    glass = scene.story.glass_broken
    if glass is not None and scene.at - glass.at < LOUD_S:
        where = f" ({brief(glass.where, 60)})" if glass.where else ""
        who = f"{brief(glass.who, 40)}{where}"
        text = f"{who} took it back at {clock(glass.at)} without the role for it: {glass.reason}"
        return Notice("GLASS BROKEN.", text)
    if state.way_back_problem and not _over(state, scene.at):
        return Notice("THE WAY BACK FAILS when tried.", f"{state.way_back_problem}.{by_hand}")
    if state.journal_late:
        return Notice("JOURNAL LATE.", f"{state.journal_late}: the record is kept in a file beside it.", "caution")
    return Notice("THE ENGINE SAYS:", "; ".join(scene.notices), "caution") if scene.notices else None


def _over(state: State, at: float) -> bool:
    """Nothing is left that a roll back by hand would mend."""
    return bool(refusal(state, "rollback", at)) or state.phase is Phase.ROLLED_BACK or not state.moved
