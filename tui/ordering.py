"""The keys that order something: its question if it asks one, then the order, meant for what was painted."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from engine.gates import refusal
from engine.state import State
from tui.commands import BY_NAME, label_of, verb_of
from tui.dialogs import Answer, AskReason, Confirm, RollbackQuestion
from tui.orders import GivenOrder, Progress
from tui.view import weight_words
from tui.view_gate import approval_text, approved_words
from tui.watch import Watch
from widgets.checklist import Checklist
from widgets.metrics_table import MetricsTable
from widgets.plain import brief


class Ordering(Watch):
    """What a person can order of a release."""

    def _order(
        self,
        verb: str,
        name: str,
        *,
        meant: State | None = None,
        reason: str = "",
        item: str = "",
        override: bool = False,
        break_glass: bool = False,
    ) -> None:
        """Give an order, meant for what a question showed (`meant`), or for what is painted."""
        seen = meant or self.painted
        by_hand = seen.manual_rollback if seen is not None and verb == "rollback" else ""
        order = self.desk.take(verb, name, item, by_hand)
        order.who = self.pulse.you.who if verb == "approve" else ""
        sending = self.desk.send(order, seen, reason=reason, override=override, break_glass=break_glass)
        self.run_worker(self._see_through(order, sending), name=verb, exit_on_error=False)
        self.paint()

    async def _see_through(self, order: GivenOrder, sending: Coroutine[Any, Any, None]) -> None:
        await sending
        if order.verb == "rollback" and order.progress is Progress.REFUSED:
            self._offer_glass(order)
        self.paint()

    def _hindered(self, name: str) -> bool:
        """Does the command do nothing now? Then say why."""
        command = BY_NAME[name]
        why = self.scene().obstacle(command, self.painted)
        if why:
            self.say(f"{label_of(command, self.painted)}: {why}")
        return bool(why)

    def _ask(self, title: str, text: str, given: Callable[[str], None], *, danger: bool = False) -> None:
        """Ask for words; `given` gets them if there are any."""
        question = AskReason(title, text, glyphs=self.glyphs, danger=danger)
        self.push_screen(question, lambda words: given(words) if words else None)

    def _confirm(self, title: str, text: str, answers: tuple[Answer, ...], given: Callable[[str], None]) -> None:
        """Ask with Cancel in focus; `given` gets the result of any other answer."""
        question = Confirm(title, text, answers, glyphs=self.glyphs)
        self.push_screen(question, lambda result: given(result) if result else None)

    # --- forward, and standing still

    def action_advance(self) -> None:
        if not self._hindered("advance"):
            self._order("advance", "advance")

    def action_override(self) -> None:
        if not self._hindered("override"):
            text, meant = "The reason is recorded, with your name.", self.painted
            self._ask("Advance without proof?", text, lambda reason: self._override(reason, meant))

    def _override(self, reason: str, meant: State | None) -> None:
        self._order("advance", "advance without proof", meant=meant, reason=reason, override=True)

    def action_approve(self) -> None:
        """Ask, saying what is approved; over something that speaks against it, ask why."""
        if self._hindered("approve") or self.painted is None:
            return
        meant, at, you = self.painted, self.scene().at, self.pulse.you
        title = f"Approve {approved_words(meant)}?"
        text = approval_text(meant, you)
        against = refusal(meant, "approve", at, stage=meant.stage, revision=meant.revision, who=you.who)
        if against:
            self._ask(title, f"{against}. {text}", lambda reason: self._approve(meant, reason))
        else:
            self._confirm(title, text, (Answer("y", "yes", "approve"),), lambda _: self._approve(meant))

    def _approve(self, meant: State, reason: str = "") -> None:
        self._order("approve", "approve", meant=meant, reason=reason)

    def action_pause(self) -> None:
        if self._hindered("pause"):
            return
        verb = verb_of(BY_NAME["pause"], self.painted)
        if self.painted is not None and self.painted.questions:
            text, meant = "A metric fails. Why is the canary kept where it is? The reason is recorded.", self.painted
            self._ask(
                "Keep the canary?", text, lambda why: self._order(verb, "keep the canary", meant=meant, reason=why)
            )
        else:
            self._order(verb, verb)

    def action_retry(self) -> None:
        if not self._hindered("retry"):
            self._order("retry", "retry")

    def action_cancel(self) -> None:
        if self._hindered("cancel"):
            return
        text = "No traffic has moved. This release ends here; another can be started."
        answers = (Answer("y", "yes", "give it up"),)
        self._confirm(f"Cancel {self.release}?", text, answers, lambda _: self._order("cancel", "cancel"))

    def action_note(self) -> None:
        if not self._hindered("note"):
            text = "Everybody who looks at this release sees it."
            self._ask("A note for the journal", text, lambda words: self._order("note", "note", reason=words))

    # --- the way back

    def action_rollback(self) -> None:
        """Ask, once, with Cancel in focus."""
        state = self.painted
        if isinstance(self.screen, RollbackQuestion) or self._hindered("rollback") or state is None:
            return
        service, stable, canary = (brief(name, 40) for name in (state.service, state.stable, state.canary or "canary"))
        title = f"Roll back {service} to {stable or 'stable'}?"
        text = f"{weight_words(state)} on {canary}. All traffic goes to {stable or 'stable'} at once."
        self.push_screen(RollbackQuestion(title, text, glyphs=self.glyphs), self._roll_back)

    def _roll_back(self, given: str | None) -> None:
        if given:
            while len(self.screen_stack) > 1:
                self.pop_screen()
            self._order("rollback", "roll back")

    def action_hurry(self) -> None:
        """F9 asks, F9 again says yes: on any keyboard layout, and inside an input."""
        if isinstance(self.screen, RollbackQuestion):
            self.screen.dismiss("yes")
        else:
            self.action_rollback()

    def _offer_glass(self, order: GivenOrder) -> None:
        """The release would go back, so it is the person who may not: they may break the glass."""
        state = self.painted
        if state is None or refusal(state, "rollback", self.scene().at):
            return
        order.way_out = f"{BY_NAME['break_glass'].key} breaks the glass"
        if len(self.screen_stack) == 1:
            self._ask_for_glass(order.why)

    def action_break_glass(self) -> None:
        """Roll back without the role for it: asks for the reason, and says that everybody hears of it."""
        if self._hindered("break_glass") or self.painted is None:
            return
        self._ask_for_glass("")

    def _ask_for_glass(self, refused: str) -> None:
        service = brief(self.painted.service, 40) if self.painted is not None else self.release
        who = brief(self.pulse.you.who, 40)
        text = f"Why, though your role does not allow it? Everybody hears of it at once, and it is recorded as {who}'s."
        said = refused.partition("; in an emergency")[0]
        self._ask(f"Break the glass: roll back {service}?", f"{text} {said}".rstrip(), self._break_glass, danger=True)

    def _break_glass(self, reason: str) -> None:
        self._order("rollback", "roll back (glass broken)", reason=reason, break_glass=True)

    def action_copy_command(self) -> None:
        """By OSC 52, which most terminals take, over SSH too."""
        if self.painted is None or not self.painted.manual_rollback:
            self.say("copy: no manual rollback command is known")
            return
        self.copy_to_clipboard(self.painted.manual_rollback)
        self.say("the manual rollback command is sent to the clipboard", "")

    # --- the checklist

    def action_focus_checklist(self) -> None:
        self.main.query_one(Checklist).focus()

    def action_focus_metrics(self) -> None:
        self.main.query_one(MetricsTable).focus()

    def _item(self, name: str) -> str:
        """The chosen item if keys go to the checklist and nothing hinders; else go there, or say why."""
        checklist = self.main.query_one(Checklist)
        if not checklist.has_focus:
            checklist.focus()
            self.say(f"{name}: choose an item with j and k, then {BY_NAME[name].key} again", "")
            return ""
        return "" if self._hindered(name) else self.scene().item

    def action_tick(self) -> None:
        item = self._item("tick")
        if item:
            self._order("tick", f"tick {item}", item=item)

    def action_untick(self) -> None:
        item = self._item("untick")
        if item:
            self._order("untick", f"untick {item}", item=item)

    def action_waive(self) -> None:
        item = self._item("waive")
        if item:
            text, meant = "Why need it not hold? The reason is recorded, with your name.", self.painted
            self._ask(f"Waive {item}?", text, lambda reason: self._waive(item, reason, meant))

    def _waive(self, item: str, reason: str, meant: State | None) -> None:
        self._order("waive", f"waive {item}", meant=meant, reason=reason, item=item)
