"""Two engines on one store, in one process: who holds, who follows, and how an order reaches its release."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from engine import events as ev
from engine.controller import events_of
from engine.host import Host, RefusedError, StartOrder, UnknownReleaseError
from engine.host.starting import Beginning, files_of
from engine.inputs import Order
from engine.journal.store import Journal
from engine.outlook import outlook
from engine.state import Phase
from tests.engine.moody_journal import until
from tests.engine.served import PLAN, PaperRoute, SteadySource

LEASE_S = 1.5


class Common(Journal):
    """A journal that several engines have open; none of them closes it."""

    shared = True

    def close(self) -> None:
        """The test does."""


@dataclass
class Two:
    """Two engines on one store and one route."""

    first: Host
    second: Host
    route: PaperRoute

    async def begin(self) -> str:
        """A release that the first engine holds and the second one follows, at its first stage."""
        release = await self.first.start(StartOrder(PLAN.encode(), "plan.yaml", "ann"))
        await until(lambda: "advance" in verbs(self.first, release))
        await self.first.order(release, advance(self.first, release, "a1"))
        await until(lambda: self.route.weight == 5)
        await until(lambda: release in self.second.ids() and self.second.state(release).stage == 0)
        return release

    async def sleep(self, host: Host) -> None:
        """It neither renews nor answers any more, as a stopped process."""
        await host._tenure.leave()


def verbs(host: Host, release: str) -> tuple[str, ...]:
    return outlook(host.state(release), host.now()).orders


def rollbacks(host: Host, release: str) -> list[tuple[str, str, str]]:
    """Who ordered it back, why and from where, as the store has it."""
    events = [said.event for said in events_of(host.journal.read(release))]
    accepted = [event for event in events if isinstance(event, ev.OrderAccepted) and event.verb == "rollback"]
    return [(event.who, event.reason, event.where) for event in accepted]


def taken(host: Host, release: str) -> list[ev.EngineTook]:
    """Each time that an engine took it, as the store has it."""
    return [said.event for said in events_of(host.journal.read(release)) if isinstance(said.event, ev.EngineTook)]


def order(host: Host, verb: str, name: str = "o1") -> Order:
    return Order(at=host.now(), id=name, verb=verb, who="bob", reason="because", where="tty2")


def advance(host: Host, release: str, name: str) -> Order:
    state = host.state(release)
    return replace(order(host, "advance", name), stage=state.stage, revision=state.revision)


@asynccontextmanager
async def hosts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Two]:
    route = PaperRoute()
    monkeypatch.setattr("engine.routers.sandbox.SandboxRouter", route)
    monkeypatch.setattr("engine.sources.scrape.ScrapeSource", SteadySource)
    journal = Common.open(folder / "journal.db")
    monkeypatch.setattr(journal._backend, "shared", True)
    made = []
    for name in ("a", "b"):
        (folder / name).mkdir()
        made.append(Host(folder / name, journal=journal, lease_s=LEASE_S))
        await made[-1].resume()
    try:
        yield Two(made[0], made[1], route)
    finally:
        for host in made:
            with suppress(RuntimeError):
                await host.close()
        Journal.close(journal)


@pytest.fixture
async def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Two]:
    async with hosts(tmp_path, monkeypatch) as made:
        yield made


async def test_a_release_is_held_by_one_and_followed_by_the_other(two: Two) -> None:
    release = await two.begin()
    assert two.first.identity == two.second.identity
    assert two.second.holder(release) == two.first.process != two.second.process
    assert [await host.history(release, 0) for host in (two.first, two.second)][1]
    heard: list[int] = []
    two.second.listen(release, lambda news: heard.extend(said.seq for said in news))
    await two.first.order(release, order(two.first, "note"))
    await until(lambda: heard)
    assert heard == sorted(set(heard))


async def test_an_order_for_a_followed_release_is_executed_once_by_its_holder(two: Two) -> None:
    release = await two.begin()
    given = order(two.second, "pause")
    for _ in range(2):
        events = await two.second.order(release, given)
        [said] = [event for event in events if isinstance(event, ev.OrderAccepted)]
        assert (said.verb, said.who, said.where) == ("pause", "bob", "tty2")
    told = [said.event for said in await two.first.history(release, 0)]
    assert sum(isinstance(event, ev.Paused) for event in told) == 1
    refused = await two.second.order(release, replace(order(two.second, "advance", "o2"), stage=-1, revision="old"))
    assert any(isinstance(event, ev.OrderRefused) for event in refused)


async def test_a_roll_back_does_not_wait_for_a_silent_holder_and_is_recorded_by_the_next(two: Two) -> None:
    release = await two.begin()
    await two.sleep(two.first)
    for lease in two.first._leases.held.values():
        lease._until = 0.0  # its clock says so too
    events = await two.second.order(release, order(two.second, "rollback"))
    assert two.route.weight == 0
    assert any(
        "wrote stable's weight itself" in event.detail for event in events if isinstance(event, ev.ShiftAnswered)
    )
    assert any("wrote stable's weight itself" in said for said in two.second.notices)
    await until(lambda: two.second.holder(release) == two.second.process)
    await until(lambda: two.second.state(release).phase is Phase.ROLLED_BACK)
    await until(lambda: rollbacks(two.second, release))
    assert rollbacks(two.second, release) == [("bob", "because", "tty2")]


async def test_any_other_order_for_a_silent_holder_is_withdrawn(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.host.there.PATIENCE_S", 0.5)
    release = await two.begin()
    await two.sleep(two.first)
    await two.sleep(two.second)  # nor does this one take it over
    with pytest.raises(RefusedError, match="so the order was withdrawn"):
        await two.second.order(release, order(two.second, "pause"))
    assert two.second.journal.orders_for([release]) == []


async def test_an_engine_whose_release_was_taken_is_fenced_and_follows_it(two: Two) -> None:
    release = await two.begin()
    await two.sleep(two.first)
    await until(lambda: two.second.holder(release) == two.second.process)
    await until(lambda: release not in two.first._holder.held)  # its next append was refused
    assert any("taken over" in said for said in two.first.notices)
    await until(lambda: len(taken(two.second, release)) == 2)
    took = taken(two.second, release)
    assert [event.engine for event in took] == [two.first.process, two.second.process]
    assert took[0].raise_after == 0.0
    assert took[1].raise_after == pytest.approx(took[1].at + two.route.shift_limit_s, abs=1)
    written = list(two.route.written)
    await asyncio.sleep(0.5)
    assert two.route.written == written


async def test_an_engine_that_closes_hands_over_at_once(two: Two) -> None:
    release = await two.begin()
    await two.first.close()
    await until(lambda: two.second.holder(release) == two.second.process)
    await until(lambda: len(taken(two.second, release)) == 2)
    assert taken(two.second, release)[-1].raise_after == 0.0


async def test_two_engines_begin_no_two_releases_on_one_target(two: Two) -> None:
    release = await two.begin()
    with pytest.raises(RefusedError, match=f"{release} is under way"):
        await two.second.start(StartOrder(PLAN.encode(), "plan.yaml", "bob"))
    same = StartOrder(PLAN.encode(), "plan.yaml", "bob", key="nightly", observe=True)
    assert await two.second.start(same) == await two.first.start(same)


async def test_of_two_engines_that_start_in_the_same_moment_one_does_and_the_other_names_its_release(two: Two) -> None:
    begun: list[str] = []
    for number in range(6):
        plans = [PLAN.replace("service: shop", f"service: {service}") for service in ("shop", "till")]
        orders = [StartOrder(plan.encode(), "plan.yaml", "ann") for plan in plans]
        starts = [host.start(order) for host, order in zip((two.first, two.second), orders, strict=True)]
        said = await asyncio.gather(*starts, return_exceptions=True)
        [release] = [one for one in said if isinstance(one, str)]
        [refused] = [one for one in said if isinstance(one, RefusedError)]
        assert str(refused).startswith(f"{release} is under way on paper")
        begun.append(release)
        host = two.first if release in two.first._holder.held else two.second
        await host.order(release, order(host, "cancel", f"o{number}"))
    assert [row.id for row in two.first.journal.releases()] == begun


async def test_a_start_goes_on_when_what_was_begun_meanwhile_has_ended(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    create, ended = two.second._tenure.create, list[str]()

    async def late(begun: Beginning, key: str) -> int:
        if not ended:
            ended.append(await two.first.start(StartOrder(PLAN.encode(), "plan.yaml", "ann")))
            await two.first.order(ended[0], order(two.first, "cancel"))
        return await create(begun, key)

    monkeypatch.setattr(two.second._tenure, "create", late)
    till = PLAN.replace("service: shop", "service: till")
    assert await two.second.start(StartOrder(till.encode(), "plan.yaml", "bob")) == "till-1"
    assert ended == ["shop-1"]


# --- one engine


@pytest.fixture
async def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Host]:
    monkeypatch.setattr("engine.routers.sandbox.SandboxRouter", PaperRoute())
    monkeypatch.setattr("engine.sources.scrape.ScrapeSource", SteadySource)
    made = Host(tmp_path)
    yield made
    await made.close()


async def test_a_plan_for_production_needs_an_engine_that_comes_back(host: Host) -> None:
    plan = StartOrder(f"{PLAN}\nproduction: true\n".encode(), "plan.yaml", "ann")
    with pytest.raises(RefusedError, match="laneshift serve --install"):
        await host.start(plan)
    host.supervised = True
    assert await host.start(plan) == "shop-1"


async def test_who_may_not_start_is_told_why(host: Host) -> None:
    with pytest.raises(RefusedError, match="ann is no operator"):
        await host.start(StartOrder(PLAN.encode(), "plan.yaml", "ann", forbidden="ann is no operator"))


async def test_files_that_come_with_a_plan_are_kept_and_hashed(host: Host) -> None:
    files = {"reports/unit.xml": b"<testsuite/>"}
    release = await host.start(StartOrder(PLAN.encode(), "plan.yaml", "ann", files=files, where="tty1"))
    kept = host.journal.kept(release)
    assert base64.b64decode(kept["files"]["reports/unit.xml"]["base64"]) == b"<testsuite/>"
    assert files_of(kept) == files
    [first, *_] = await host.history(release, 0)
    assert isinstance(first.event, ev.Created)
    assert first.event.files == {"reports/unit.xml": kept["files"]["reports/unit.xml"]["sha256"]}
    assert first.event.where == "tty1"


@pytest.mark.parametrize("sizes", [[1024 * 1024 + 1], [1024 * 1024] * 3])
async def test_files_are_bounded(host: Host, sizes: list[int]) -> None:
    files = {f"file {number}": b"." * size for number, size in enumerate(sizes)}
    with pytest.raises(RefusedError, match="at most"):
        await host.start(StartOrder(PLAN.encode(), "plan.yaml", "ann", files=files))


async def test_a_release_that_ended_is_put_down_and_takes_notes_still(host: Host) -> None:
    release = await host.start(StartOrder(PLAN.encode(), "plan.yaml", "ann"))
    await host.order(release, order(host, "cancel"))
    await until(lambda: release not in host._holder.held)
    assert host.state(release).phase is Phase.CANCELLED
    assert host.ids() == [release]
    await host.order(release, order(host, "note", "o2"))
    assert any(isinstance(said.event, ev.Noted) for said in await host.history(release, 0))
    assert (await host.find(release)).phase is Phase.CANCELLED
    with pytest.raises(UnknownReleaseError):
        await host.find("shop-9")
