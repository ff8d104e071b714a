"""The rows of words: banner, panel, next action, event log, message, keys."""

from __future__ import annotations

from dataclasses import dataclass

from widgets.lines import Line, Pane, Span, cut, line, line_width
from widgets.plain import fit, wrap

PANEL_NAME = 10  # cells of the names in a panel


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that must be seen: a title, words, and a role for the title."""

    title: str
    text: str
    tone: str = "alarm"


class Banner(Pane[Notice]):
    """What must not be missed, over its whole height; the text is wrapped and never cut in the middle of it."""

    def draw_value(self, value: Notice, width: int, height: int) -> list[Line]:
        title = f" {value.title} "
        rows = wrap(f"{title.strip()} {value.text}", width - 4, height)
        return [line((fit(f"  {text}", width), value.tone)) for text in rows]


@dataclass(frozen=True, slots=True)
class PanelRow:
    """A name and what belongs to it; `tone` is the role of the latter."""

    name: str
    text: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """A stopwatch or a result: a title with its role, and rows."""

    title: str
    tone: str
    rows: tuple[PanelRow, ...]


class PanelRows(Pane[Panel]):
    """The title as a bar, then the rows."""

    def draw_value(self, value: Panel, width: int, height: int) -> list[Line]:
        return panel_lines(value, width)[:height]


def panel_lines(panel: Panel, width: int) -> list[Line]:
    """The panel's lines at this width; a long text takes a second one."""
    lines = [line((fit(f"  {panel.title}", width), panel.tone))]
    for row in panel.rows:
        texts = wrap(row.text, max(10, width - PANEL_NAME - 4), 2)
        names = [row.name, *("" for _ in texts[1:])]
        for name, text in zip(names, texts, strict=True):
            lines.append(line((f"  {fit(name, PANEL_NAME)} ", "dim"), (text, row.tone)))
    return lines


@dataclass(frozen=True, slots=True)
class Coming:
    """What is waited for, how long still, what happens then, and which keys act now."""

    waits_for: str
    left: str
    then: str
    keys: tuple[tuple[str, str], ...]


class NextAction(Pane[Coming]):
    """Always true: what is waited for, until when, what then, which key acts."""

    DEFAULT_CSS = "NextAction { height: 2; }"

    def draw_value(self, value: Coming, width: int, height: int) -> list[Line]:
        left = f"  {value.left}" if value.left else ""
        room = max(20, width - 9 - len(left))
        waits = wrap(value.waits_for, room, max(1, height - 1))
        lines = [line((" NEXT    ", "title"), (waits[0], "bold"), (left, "key"))]
        lines += [line("         ", (text, "bold")) for text in waits[1:]]
        acts: list[Span | str] = [(" THEN    ", "title"), value.then]
        for key, name in value.keys:
            acts += [f" {self.glyphs.dot} ", (key, "key"), f" {name}"]
        return [*lines, cut(line(*acts), width)]


@dataclass(frozen=True, slots=True)
class LogLine:
    """When (already as text), what, and a role."""

    time: str
    text: str
    tone: str = ""


class EventLog(Pane[tuple[LogLine, ...]]):
    """The newest lines, newest last."""

    def draw_value(self, value: tuple[LogLine, ...], width: int, height: int) -> list[Line]:
        return [self._entry(entry, width) for entry in (value[-height:] if height else ())]

    def _entry(self, entry: LogLine, width: int) -> Line:
        text = fit(entry.text, max(1, width - len(entry.time) - 3)).rstrip()
        return cut(line((f" {entry.time} ", "dim"), (text, entry.tone)), width)


@dataclass(frozen=True, slots=True)
class Said:
    """One message to the person at the keys."""

    text: str = ""
    tone: str = ""


class MessageLine(Pane[Said]):
    """What became of the last order, or why a key does nothing now."""

    def draw_value(self, value: Said, width: int, height: int) -> list[Line]:
        return [line((f" {text}", value.tone)) for text in wrap(value.text, width - 2, height)]


@dataclass(frozen=True, slots=True)
class KeyHint:
    """One key of the key line: dimmed when it would be refused now. Lower `rank` stays longer when room is short."""

    key: str
    name: str
    live: bool
    rank: int


class KeyLine(Pane[tuple[KeyHint, ...]]):
    """The keys, in their order; what does not fit is left to the help screen."""

    def draw_value(self, value: tuple[KeyHint, ...], width: int, _height: int) -> list[Line]:
        shown = list(value)
        while shown and line_width(self._keys(shown)) > width:
            shown.remove(max(shown, key=lambda hint: (hint.rank, not hint.live)))
        return [self._keys(shown)]

    def _keys(self, hints: list[KeyHint]) -> Line:
        spans: list[Span | str] = []
        for hint in hints:
            spans += [" ", (hint.key, "key" if hint.live else "dim"), (f" {hint.name} ", "" if hint.live else "dim")]
        return line(*spans)
