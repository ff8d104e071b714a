"""Questions to the person at the keys: confirm, give a reason, choose. The safe answer has the focus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.screen import ModalScreen
from textual.widgets import Input

from widgets.glyphs import ASCII, UNICODE, Glyphs
from widgets.lines import Line, Lines, line
from widgets.plain import wrap

Result = TypeVar("Result")
CRAMPED = (40, 12)  # below these columns or rows a dialog has no border
LONGEST_REASON = 500


class Words(Lines):
    """A few lines of text, wrapped."""

    def __init__(self, text: str, *, role: str = "", rows: int = 4) -> None:
        super().__init__()
        self._text = text
        self._role = role
        self._rows = rows

    def get_content_height(self, _container: object, _viewport: object, width: int) -> int:
        return len(wrap(self._text, width, self._rows))

    def draw(self, width: int, _height: int) -> list[Line]:
        return [line((text, self._role)) for text in wrap(self._text, width, self._rows)]


class Choice(Lines, can_focus=True):
    """One answer: `[ y roll back ]`; reversed while it has the focus."""

    def __init__(self, name: str, label: str) -> None:
        super().__init__(id=name)
        self.label = f"[ {label} ]"

    def get_content_width(self, _container: object, _viewport: object) -> int:
        return len(self.label)

    def draw(self, _width: int, _height: int) -> list[Line]:
        return [line((self.label, "chosen" if self.has_focus else "bold"))]

    def on_focus(self) -> None:
        self.redraw()

    def on_blur(self) -> None:
        self.redraw()


class Dialog(ModalScreen[Result]):
    """A box in the middle. Its own keys never include the only way out: `escape`, `q` and Cancel all leave."""

    def __init__(self, *, glyphs: Glyphs = UNICODE, danger: bool = False) -> None:
        super().__init__()
        self.set_class(glyphs == ASCII, "ascii")
        self.set_class(danger, "danger")

    def on_resize(self) -> None:
        """A small terminal has no room for a border."""
        size = self.app.size
        self.set_class(size.width < CRAMPED[0] or size.height < CRAMPED[1], "cramped")


@dataclass(frozen=True, slots=True)
class Answer:
    """One way to answer a confirmation: its key, a result, a label."""

    key: str
    result: str
    label: str


class Confirm(Dialog[str]):
    """A question with Cancel and one or more answers; gives the answer's result, or "" for Cancel."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,n,q", "leave", "Cancel", show=False),
        Binding("enter,space", "press", "Press", show=False),
        Binding("left,right,up,down,h,l", "other", "Other", show=False),
    ]

    def __init__(
        self, title: str, text: str, answers: tuple[Answer, ...], *, glyphs: Glyphs, danger: bool = False
    ) -> None:
        super().__init__(glyphs=glyphs, danger=danger)
        self._title = title
        self._text = text
        self._answers = answers

    def compose(self) -> ComposeResult:
        with Container(id="box"):
            yield Words(self._title, role="bold", rows=2)
            yield Words(self._text, rows=6)
            with Container(id="choices"):
                yield Choice("cancel", "Cancel")
                for answer in self._answers:
                    yield Choice(f"answer-{answer.result}", f"{answer.key} {answer.label}")

    def on_mount(self) -> None:
        """Cancel has the focus; each answer its own key."""
        self.query_one("#cancel").focus()
        for answer in self._answers:
            self._bindings.bind(answer.key, f"answer('{answer.result}')", answer.label, show=False)

    def action_answer(self, result: str) -> None:
        self.dismiss(result)

    def action_leave(self) -> None:
        self.dismiss("")

    def action_press(self) -> None:
        chosen = self.focused.id if self.focused is not None else "cancel"
        self.dismiss("" if chosen == "cancel" else (chosen or "").removeprefix("answer-"))

    def action_other(self) -> None:
        self.focus_next()


class RollbackQuestion(Confirm):
    """The one question before a roll back: `y` says yes; its only other answer has the focus."""

    def __init__(self, title: str, text: str, *, glyphs: Glyphs) -> None:
        super().__init__(title, text, (Answer("y", "yes", "roll back"),), glyphs=glyphs, danger=True)


class AskReason(Dialog[str]):
    """A question answered in words; gives them, or "" when left."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Cancel", show=False)]

    def __init__(self, title: str, text: str, *, glyphs: Glyphs, danger: bool = False) -> None:
        super().__init__(glyphs=glyphs, danger=danger)
        self._title = title
        self._text = text

    def compose(self) -> ComposeResult:
        with Container(id="box"):
            yield Words(self._title, role="bold", rows=2)
            yield Words(self._text, rows=6)
            words = Input(max_length=LONGEST_REASON, select_on_focus=False)
            words.cursor_blink = False  # a blinking cursor writes 2 kB/s
            yield words
            yield Words("enter gives it, escape or ctrl+c leaves", role="dim")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Words were given; blanks are none."""
        self.dismiss(event.value.strip())

    def key_ctrl_c(self) -> None:
        self.dismiss("")

    def action_leave(self) -> None:
        self.dismiss("")


class Choose(Dialog[str]):
    """A list to choose from by its digit or letter; gives the chosen name, or "" when left."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "Cancel", show=False),
        Binding("enter,space", "press", "Press", show=False),
        Binding("down,j", "step(1)", "Next", show=False),
        Binding("up,k", "step(-1)", "Previous", show=False),
    ]

    def __init__(self, title: str, choices: tuple[tuple[str, str], ...], *, glyphs: Glyphs) -> None:
        super().__init__(glyphs=glyphs)
        self._title = title
        self._choices = choices
        self._chosen = 0

    def compose(self) -> ComposeResult:
        with Container(id="box"):
            yield Words(self._title, role="bold", rows=2)
            yield ChoiceList(self._choices)
            yield Words("enter switches it, escape leaves", role="dim")

    def action_step(self, step: int) -> None:
        self._chosen = (self._chosen + step) % len(self._choices)
        chooser = self.query_one(ChoiceList)
        chooser.chosen = self._chosen
        chooser.redraw()

    def action_press(self) -> None:
        self.dismiss(self._choices[self._chosen][0])

    def action_leave(self) -> None:
        self.dismiss("")


class ChoiceList(Lines):
    """The rows of `Choose`."""

    def __init__(self, choices: tuple[tuple[str, str], ...]) -> None:
        super().__init__()
        self._choices = choices
        self.chosen = 0

    def get_content_height(self, _container: object, _viewport: object, _width: int) -> int:
        return len(self._choices)

    def draw(self, _width: int, _height: int) -> list[Line]:
        return [
            line((f" {label} ", "chosen" if number == self.chosen else ""))
            for number, (_, label) in enumerate(self._choices)
        ]
