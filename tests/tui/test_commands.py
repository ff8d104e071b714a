from __future__ import annotations

from engine.release import VERBS
from tests.tui import rehearsal
from tests.tui.fake_engine import FakeEngine
from tui.app import Cockpit
from tui.commands import COMMANDS, commands, label_of, obstacle, verb_of
from tui.feed import Link

RESERVED = {"ctrl+a", "ctrl+b", "ctrl+s", "ctrl+q", "escape"}


def test_no_key_means_two_things_and_none_is_taken_by_others() -> None:
    keys = [key for command in COMMANDS for key in command.keys]
    assert len(keys) == len(set(keys))
    assert RESERVED.isdisjoint(keys)


def test_what_is_dangerous_has_a_capital_or_asks() -> None:
    capital = ("rollback", "override", "approve", "break_glass")
    assert {command.key for command in COMMANDS if command.danger == "asks"} == {"R", "G", "x"}
    assert all(command.key.isupper() for command in COMMANDS if command.name in capital)


def test_every_verb_has_a_key_and_every_command_an_action() -> None:
    assert {command.verb for command in COMMANDS} | {"resume"} >= set(VERBS)
    assert all(hasattr(Cockpit, f"action_{command.name}") for command in COMMANDS)


def test_every_binding_has_an_id_and_comes_from_the_table() -> None:
    ids = {binding.id for _, binding in Cockpit(FakeEngine(), "x")._bindings}
    assert {command.name for command in COMMANDS} <= ids
    assert not RESERVED & set(Cockpit(FakeEngine(), "x")._bindings.key_to_bindings)


def test_the_demo_adds_its_own() -> None:
    assert {command.name for command in commands(demo=True)} - {command.name for command in commands(demo=False)} == {
        "break_canary"
    }


def test_pause_is_resume_while_paused() -> None:
    pause = next(command for command in COMMANDS if command.name == "pause")
    assert (verb_of(pause, rehearsal.baking().state), label_of(pause, rehearsal.baking().state)) == ("pause", "pause")
    assert (verb_of(pause, rehearsal.paused().state), label_of(pause, rehearsal.paused().state)) == ("resume", "resume")


def test_only_forward_waits_for_a_silent_engine() -> None:
    release = rehearsal.ready()
    held_back = {
        command.name
        for command in COMMANDS
        if obstacle(command, release.state, release.at, Link.STALE).startswith("nothing is heard")
    }
    assert held_back == {"advance", "override", "approve"}


def test_without_a_release_only_orders_are_in_vain() -> None:
    live = {command.name for command in COMMANDS if not obstacle(command, None, 0.0, Link.CONNECTING)}
    assert {"help", "detach", "theme"} <= live
    assert "rollback" not in live
