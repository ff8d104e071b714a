"""The one table of commands: bindings, key line, palette and help are all made of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.gates import refusal
from engine.state import State
from tui.feed import Link

Danger = Literal["", "asks", "forward"]
HELP_ONLY = 99  # a rank: in no key line
ASSUMED = "as asked for next"  # stands for a reason that will be typed before the order is given


@dataclass(frozen=True, slots=True)
class Command:
    """`name` is the action and the binding's id, `label` its word in the key line, `help` a sentence.

    `verb` is the order it gives, if it gives one; `rank` says which commands leave a short key line first, 0 for
    never. `danger`: "asks" first, or moves the release "forward". `when_live`: not in the key line while it is dimmed.
    """

    name: str
    keys: tuple[str, ...]
    label: str
    help: str
    verb: str = ""
    danger: Danger = ""
    rank: int = 5
    needs_item: bool = False
    demo: bool = False
    when_live: bool = False

    @property
    def key(self) -> str:
        """The key as it is printed."""
        return _PRINTED.get(self.keys[0], self.keys[0])


_PRINTED = {"question_mark": "?"}

COMMANDS = (
    Command("advance", ("a",), "advance", "go on to the next stage, or finish", "advance", "forward", 1),
    Command("pause", ("p",), "pause", "pause: nothing advances, all is still guarded; or resume", "pause", "", 1),
    Command(
        "rollback", ("R",), "roll back", "roll back: all traffic to stable; asks for y (or F9 again)",
        "rollback", "asks", 0,
    ),
    Command("tick", ("t",), "tick", "tick the chosen item of the checklist", "tick", rank=3, needs_item=True),
    Command("waive", ("w",), "waive", "waive the chosen item; asks for the reason", "waive", rank=3, needs_item=True),
    Command("untick", ("u",), "untick", "take a tick or a waiver back", "untick", rank=7, needs_item=True),
    Command("retry", ("r",), "retry", "the failed check, the stuck shift or the rollback again", "retry", rank=4),
    Command("cancel", ("x",), "cancel", "give the release up before any traffic moved", "cancel", "asks", 6),
    Command(
        "override", ("A",), "override", "advance without proof; asks for the reason, which is recorded",
        "advance", "forward", 9,
    ),
    Command(
        "approve", ("V",), "approve", "approve at a gate: this stage, this revision; asks for y",
        "approve", "forward", 1, when_live=True,
    ),
    Command(
        "break_glass", ("G",), "break glass", "roll back though your role may not; asks why, announced at once",
        "rollback", "asks", HELP_ONLY,
    ),
    Command("note", ("n",), "note", "write a note into the journal", "note", rank=6),
    Command("focus_checklist", ("c",), "list", "to the checklist: j and k or arrows choose an item", rank=4),
    Command("focus_metrics", ("m",), "metrics", "to the metrics: j and k or arrows choose one", rank=5),
    Command("break_canary", ("b",), "break", "break the canary: choose a fault of the sandbox", rank=2, demo=True),
    Command("copy_command", ("Y",), "copy", "copy the manual rollback command to the clipboard (OSC 52)", rank=9),
    Command("theme", ("T",), "theme", "the next theme", rank=8),
    Command("help", ("question_mark",), "help", "this page", rank=2),
    Command("detach", ("q",), "detach", "leave; the release goes on", rank=2),
)  # fmt: skip

BY_NAME = {command.name: command for command in COMMANDS}


def commands(*, demo: bool) -> tuple[Command, ...]:
    """Those that exist here."""
    return tuple(command for command in COMMANDS if demo or not command.demo)


def resumes(state: State) -> bool:
    """The pause key resumes, or keeps a failing canary that the engine asks about."""
    return bool(state.paused_by or state.questions)


def verb_of(command: Command, state: State | None) -> str:
    """The order that the command gives now."""
    return "resume" if command.verb == "pause" and state is not None and resumes(state) else command.verb


def label_of(command: Command, state: State | None) -> str:
    """Its word in the key line now."""
    return "resume" if verb_of(command, state) == "resume" else command.label


READ_ONLY = "read-only cockpit: leave and open it without --read-only"


def _read_only(command: Command, state: State | None) -> str:
    """Why nothing is ordered here; for the way back the command that does it."""
    if command.verb != "rollback" or state is None:
        return READ_ONLY
    return f"read-only cockpit; instead: laneshift rollback {state.release}"


def obstacle(
    command: Command,
    state: State | None,
    at: float,
    link: Link,
    item: str = "",
    *,
    who: str = "",
    read_only: bool = False,
) -> str:
    """Why the command would do nothing now; empty when it acts. A roll back is never held back by a silent engine.

    `who` is at the keys. A cockpit that is `read_only` orders nothing, not even the way back, and says how else.
    """
    if not command.verb:
        return ""
    if read_only:
        return _read_only(command, state)
    if state is None:
        return "no release is known yet: the engine has not said anything"
    if command.danger == "forward" and link is not Link.CONNECTED:
        return f"nothing is heard from the engine ({link}): going forward waits until it is back"
    override = command.name == "override"
    given = {"revision": state.revision, "item": item, "reason": ASSUMED, "who": who}
    stage = None if command.needs_item else state.stage
    if override and not refusal(state, "advance", at, stage=stage, revision=state.revision):
        return "nothing stands in the way: a advances"
    return refusal(state, verb_of(command, state), at, stage=stage, override=override, **given)
