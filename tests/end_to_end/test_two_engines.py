"""Two real engines on one real PostgreSQL: one holds the release, dies, stops, or is cut off; the other goes on."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine import events as ev
from engine.controller import events_of
from engine.events import Event
from engine.journal.opening import open_store
from sandbox import process as sandbox_process
from tests.support.engine_bench import stages_entered
from tests.support.engine_process import Stand
from tests.support.held_line import HeldLine, held_line
from tests.support.postgres_process import PostgresProcess, running_postgres

pytestmark = pytest.mark.real
LEASE_S = 3.0
QUICK_S = 3.0  # in which a way back reaches the traffic, on a busy machine


@dataclass
class Pair:
    """Two engines; the `first` began the release, through a `line` of its own to the store."""

    store: PostgresProcess
    line: HeldLine
    first: Stand
    second: Stand

    def history(self) -> list[Event]:
        """All events, as the store has them; they can be read only when it answers."""
        home = Path(tempfile.mkdtemp(prefix="ls-"))
        with open_store(self.store.url, home) as journal:
            said = events_of(journal.read(self.first.release))
        shutil.rmtree(home)
        assert [one.seq for one in said] == list(range(1, len(said) + 1))
        return [one.event for one in said]

    def took(self) -> list[str]:
        """The engines that took the release, one after the other."""
        return [event.engine for event in self.history() if isinstance(event, ev.EngineTook)]

    def begin(self, advance: str = "manual", route: str = "") -> None:
        """A release whose first stage has 20% of the traffic, held by the first engine, known to the second. `route` is
        where engines find the gateway's weights, if not at the gateway."""
        self.first.boot()
        self.first.start(advance=advance, route=route)
        self.second.boot()
        self.second.release = self.first.release
        if advance == "manual":
            self.advance(self.first)
        at_stage(self.first, 0)
        self.second.until(lambda: self.first.release in {row.release for row in self.second.client.held()})
        at_stage(self.second, 0)

    def advance(self, engine: Stand) -> None:
        engine.until(lambda: "advance" in engine.look()["orders"])
        seen = engine.look()
        engine.order("advance", stage=seen["stage"], revision=seen["revision"])

    def taken_over(self, limit: float = 4 * LEASE_S) -> None:
        """Until the second engine has the release."""
        self.second.until(lambda: len(self.took()) == 2, limit)

    def stop_first(self) -> None:
        assert self.first.engine is not None
        os.kill(self.first.engine.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        assert self.first.engine is not None
        os.kill(self.first.engine.pid, signal.SIGCONT)


def at_stage(engine: Stand, stage: int) -> None:
    """Until an engine tells that this stage's weight is in effect."""
    engine.until(lambda: engine.look()["stage"] == stage and engine.look()["step"] != "shift")


@contextmanager
def engines() -> Iterator[Pair]:
    homes = [Path(tempfile.mkdtemp(prefix="ls-")) for _ in range(2)]
    with (
        running_postgres() as store,
        held_line(f"postgresql://127.0.0.1:{store.port}") as line,
        sandbox_process.running(homes[0], base_port=0, rps=150, seed=11) as sandbox,
    ):
        through = line.url.replace("://", "://postgres@") + "/postgres"
        made = [
            Stand(home, sandbox=sandbox, arguments=("--store", url))
            for home, url in zip(homes, (through, store.url), strict=True)
        ]
        for home in homes:
            (home / "engine.yaml").write_text(f"lease: {LEASE_S:g}s\n")
        try:
            yield Pair(store, line, *made)
        finally:
            for one in made:
                if one.engine is not None:
                    os.kill(one.engine.pid, signal.SIGCONT)
                    one.kill()
    for home in homes:
        shutil.rmtree(home)


@pytest.fixture
def pair() -> Iterator[Pair]:
    with engines() as made:
        yield made


def test_when_the_holder_is_killed_the_other_engine_takes_the_release_over_and_ends_it(pair: Pair) -> None:
    pair.begin(advance="auto")
    pair.first.kill()
    pair.taken_over()
    pair.second.ends("promoted", 90)
    pair.second.until(lambda: any(isinstance(event, ev.Promoted) for event in pair.history()))
    assert stages_entered(pair.history()) == [0, 1, 2]
    assert len(set(pair.took())) == 2


def test_an_engine_that_was_stopped_past_its_lease_lets_go_and_raises_nothing(pair: Pair) -> None:
    pair.begin()
    pair.stop_first()
    pair.taken_over()
    pair.second.order("rollback")
    pair.second.ends("rolled_back", 20)
    pair.go_on()
    pair.first.until(lambda: pair.first.look()["phase"] == "rolled_back", 20)
    assert any("taken over" in said for said in pair.first.look()["notices"])
    pair.first.never(lambda: pair.first.weight() != 0, 2 * LEASE_S)
    assert len(pair.took()) == 2


def test_a_raise_that_was_under_way_when_its_engine_was_stopped_is_refused_by_the_route(pair: Pair) -> None:
    with held_line(pair.first.sandbox.urls.gateway) as route:
        pair.begin(route=route.url)
        pair.first.until(lambda: "advance" in pair.first.look()["orders"])
        route.hold()
        pair.advance(pair.first)
        pair.first.until(lambda: sum(isinstance(event, ev.ShiftIntended) for event in pair.history()) == 2)
        time.sleep(0.5)  # it is written at once, and kept on its way
        pair.stop_first()
        kept = route.pass_new()
        pair.taken_over()
        pair.second.order("rollback")
        pair.second.ends("rolled_back", 20)
        assert not any(b" 409" in answer for answer in route.answers)
        kept.set()
        pair.second.until(lambda: any(b" 409" in answer for answer in route.answers))
        pair.go_on()
        pair.first.until(lambda: pair.first.look()["phase"] == "rolled_back", 20)
        pair.first.never(lambda: pair.first.weight() != 0, 2 * LEASE_S)
    assert len(pair.took()) == 2


def test_while_the_database_is_stopped_a_roll_back_reaches_the_traffic_and_its_record_follows(pair: Pair) -> None:
    pair.begin()
    pair.store.stop()
    begun = time.monotonic()
    pair.first.order("rollback", reason="the store is down")
    pair.first.until(lambda: pair.first.weight() == 0, QUICK_S)
    assert time.monotonic() - begun < 2 * QUICK_S
    time.sleep(LEASE_S)
    pair.store.start()
    pair.first.ends("rolled_back")
    pair.second.ends("rolled_back")
    started = [event for event in pair.history() if isinstance(event, ev.OrderAccepted) and event.verb == "rollback"]
    assert [event.reason for event in started] == ["the store is down"]


def test_while_the_database_is_stopped_an_engine_that_only_follows_rolls_back_too(pair: Pair) -> None:
    pair.begin()
    pair.stop_first()
    pair.store.stop()
    answer = pair.second.client.give(pair.second.release, "rollback", reason="nobody is there")
    assert answer.accepted, answer.why
    pair.second.until(lambda: pair.second.weight() == 0, QUICK_S)
    pair.store.start()
    pair.taken_over(8 * LEASE_S)
    pair.second.ends("rolled_back")
    pair.second.until(lambda: any(isinstance(event, ev.RolledBack) for event in pair.history()))


def test_an_engine_cut_off_from_the_store_is_replaced_and_follows_when_it_is_back(pair: Pair) -> None:
    pair.begin()
    pair.line.hold()
    pair.taken_over(6 * LEASE_S)
    pair.advance(pair.second)
    at_stage(pair.second, 1)
    pair.line.pass_new().set()
    pair.first.until(lambda: pair.first.look()["stage"] == 1, 40)
    assert stages_entered(pair.history()) == [0, 1]
    assert pair.first.weight() == 60


def test_an_order_given_to_the_engine_that_does_not_hold_the_release_reaches_it(pair: Pair) -> None:
    pair.begin()
    pair.advance(pair.second)
    at_stage(pair.second, 1)
    pair.second.order("rollback", reason="from the other")
    pair.second.ends("rolled_back", 20)
    assert len(pair.took()) == 1
    assert stages_entered(pair.history()) == [0, 1]


def test_a_roll_back_does_not_wait_for_a_holder_that_is_stopped(pair: Pair) -> None:
    pair.begin()
    pair.stop_first()
    pair.second.order("rollback", reason="the holder sleeps")
    pair.second.until(lambda: pair.second.weight() == 0, QUICK_S)
    pair.taken_over()
    pair.second.ends("rolled_back", 20)
    assert any(isinstance(event, ev.RollbackStarted) for event in pair.history())


def test_an_engine_that_is_stopped_in_order_hands_its_releases_over_at_once(pair: Pair) -> None:
    pair.begin()
    assert pair.first.engine is not None
    pair.first.engine.terminate()
    pair.first.engine.wait(20)
    pair.first.engine = None
    pair.taken_over(2 * LEASE_S)
    took = [event for event in pair.history() if isinstance(event, ev.EngineTook)]
    assert took[-1].raise_after == 0.0
