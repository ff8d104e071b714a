"""What is put back into a proxy that forgot, and what is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.routers import Write
from engine.routers.proxy_mark import NO_MARK, Mark
from engine.routers.proxy_memory import CERTAIN_S, Memory, Shown

OURS = Mark("laneshift", "shop-1", "1.2", "here", 25)
BEFORE = Shown(
    weight=25, mark=OURS, process="1", configured=0, initial=False, canary_ready=1, stable_ready=1, detail="a=75 b=25"
)
AFTER = replace(BEFORE, weight=0, mark=NO_MARK, process="2", initial=True, detail="a=100 b=0")


class Clock:
    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def memory(clock: Clock) -> Memory:
    made = Memory(clock)
    made.forget("shop-1", "here")
    return made


def way_back(number: str = "1.3") -> Write:
    return Write("shop-1", number, 0, None, "here")


def test_a_weight_that_was_in_place_a_moment_ago_is_put_back(memory: Memory) -> None:
    memory.keep("a", BEFORE)
    assert memory.lost("a", AFTER) == OURS


def test_it_stays_remembered_until_it_is_put_back(memory: Memory) -> None:
    memory.keep("a", BEFORE)
    memory.keep("a", AFTER)
    assert memory.lost("a", AFTER) == OURS
    memory.keep("a", replace(BEFORE, process="2"))
    assert memory.lost("a", replace(AFTER, process="2")) is None


RAISES_THAT_ARE_NOT_CERTAIN = {
    "another engine wrote it": replace(BEFORE, mark=replace(OURS, engine="there")),
    "it is another release's": replace(BEFORE, mark=replace(OURS, release="shop-2")),
    "rollback.sh wrote it": replace(BEFORE, mark=replace(OURS, by="rollback.sh")),
    "somebody had changed it by hand": replace(BEFORE, weight=10),
    "it had no mark": replace(BEFORE, mark=NO_MARK),
    "the configuration is another": replace(BEFORE, configured=50),
}


@pytest.mark.parametrize("why", RAISES_THAT_ARE_NOT_CERTAIN)
def test_a_raise_that_is_not_certain_is_not_made(memory: Memory, why: str) -> None:
    memory.keep("a", RAISES_THAT_ARE_NOT_CERTAIN[why])
    assert memory.lost("a", AFTER) is None


def test_a_raise_is_not_made_when_it_was_seen_too_long_ago(memory: Memory, clock: Clock) -> None:
    memory.keep("a", BEFORE)
    clock.at += CERTAIN_S + 1
    assert memory.lost("a", AFTER) is None


def test_a_lower_weight_is_put_back_however_long_ago_it_was_seen(memory: Memory, clock: Clock) -> None:
    memory.keep("a", BEFORE)
    clock.at += 10 * CERTAIN_S
    assert memory.lost("a", replace(AFTER, weight=50, configured=50)) == OURS


def test_after_a_way_back_nothing_but_0_is_put_back(memory: Memory) -> None:
    memory.keep("a", BEFORE)
    memory.ask(way_back())
    wanted = memory.lost("a", replace(AFTER, weight=50, configured=50))
    assert wanted == Mark("laneshift", "shop-1", "1.3", "here", 0)
    assert memory.lost("a", AFTER) == wanted


def test_weights_that_somebody_changed_after_the_restart_stay(memory: Memory) -> None:
    memory.keep("a", BEFORE)
    assert memory.lost("a", replace(AFTER, weight=50, initial=False)) is None


def test_weights_that_outlived_the_restart_get_their_mark_back(memory: Memory) -> None:
    """HAProxy can keep its servers' state in a file."""
    memory.keep("a", BEFORE)
    assert memory.lost("a", replace(AFTER, weight=25, initial=False)) == OURS


def test_what_was_never_seen_or_is_let_go_is_not_put_back(memory: Memory) -> None:
    assert memory.lost("a", AFTER) is None
    memory.keep("a", BEFORE)
    memory.forget()
    assert memory.lost("a", AFTER) is None


@pytest.mark.parametrize("mark", [OURS, replace(OURS, release="a/b;c\n", engine="é %", weight=2.5), NO_MARK])
def test_a_mark_is_read_as_it_was_written(mark: Mark) -> None:
    text = str(mark)
    assert Mark.read(text) == mark
    assert not set(text) & set(";\n\\ ()\"'&#")


@pytest.mark.parametrize("text", ["", "something", "a/b/c/d", "a/b/c/d/many", "////"])
def test_a_text_of_somebody_elses_is_no_mark(text: str) -> None:
    assert not Mark.read(text)


def test_the_generation_changes_with_weights_and_marks() -> None:
    other = replace(BEFORE, mark=replace(OURS, number="1.3"))
    assert len({BEFORE.generation, other.generation, replace(BEFORE, detail="a=50 b=50").generation}) == 3
    assert replace(BEFORE, process="2", canary_ready=0).generation == BEFORE.generation
