"""A release whose traffic a command moves: refused where the engine does not list it, taken up by the next engine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from engine.config import VARIABLE
from engine.host import Host, RefusedError, StartOrder
from engine.inputs import Order
from engine.script import script_path
from engine.state import Phase
from tests.engine.served import PRE, SteadySource
from tests.support.command_target import CommandTarget

pytestmark = pytest.mark.real

PLAN = f"""
service: shop
router: {{command: {{run: web, params: {{side: canary}}}}}}
source: {{scrape: {{urls: ["http://127.0.0.1:1/metrics"], interval: 1s}}}}
advance: auto
stages: [{{weight: 5, bake: 10m}}, {{weight: 100, bake: 10m}}]
metrics: {{errors: {{total: "requests", bad: "bad", alert: "> 2%"}}}}
checklist: {{drop: [{", ".join(PRE)}]}}
"""
MOVES = ["sh", "target.sh", "shift", "{side}", "{weight}", "{canary}"]


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandTarget:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr("engine.sources.scrape.ScrapeSource", SteadySource)
    return CommandTarget(tmp_path, shift=MOVES)


@asynccontextmanager
async def engine(target: CommandTarget) -> AsyncIterator[Host]:
    host = Host(target.home)
    try:
        await host.resume()
        yield host
    finally:
        await host.close()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110  a file has no event
            await asyncio.sleep(0.02)


def start(plan: str = PLAN, canary: str = "v2") -> StartOrder:
    return StartOrder(plan.encode(), "plan.yaml", "ana", canary)


async def test_it_is_moved_taken_up_by_the_next_engine_and_rolled_back(target: CommandTarget) -> None:
    async with engine(target) as host:
        release = await host.start(start())
        await until(lambda: host.state(release).observed == 5)
    assert target.weight() == 5
    async with engine(target) as host:
        await until(lambda: host.state(release).observed_at is not None)
        await host.order(release, Order(at=time.time(), id="1", verb="rollback", who="ana"))
        await until(lambda: host.state(release).phase is Phase.ROLLED_BACK)
        assert host.state(release).target == "command web side=canary"
    assert target.weight() == 0
    assert [line.split()[:2] for line in target.writes()] == [["v2", "5"], ["v2", "0"]]
    assert "target.sh shift canary 0 v2" in script_path(target.home, release).read_text()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("run: web", "run: wep"), "has no command wep, only: web; did you mean web?"),
        (("side: canary", "size: canary"), "the command web needs a value for side"),
    ],
)
async def test_what_the_engine_does_not_list_is_refused(
    target: CommandTarget, change: tuple[str, str], said: str
) -> None:
    async with engine(target) as host:
        with pytest.raises(RefusedError) as error:
            await host.start(start(PLAN.replace(*change)))
        assert said in str(error.value)
        assert host.ids() == []


async def test_a_fault_of_the_engines_configuration_is_said_where_it_is(target: CommandTarget) -> None:
    target.configure(shift=["./move", "{wieght}"])
    async with engine(target) as host:
        with pytest.raises(RefusedError, match=r"engine.yaml:1:\d+: commands.web.shift\[1\]: found the placeholder"):
            await host.start(start())


async def test_a_release_whose_command_is_listed_no_more_is_said_to_be_unguarded(target: CommandTarget) -> None:
    async with engine(target) as host:
        release = await host.start(start())
        await until(lambda: script_path(target.home, release).exists())
    (target.home / "engine.yaml").write_text("commands: {}")
    async with engine(target) as host:
        [notice] = host.notices
        assert f"{release} can't be taken up, nothing guards it: " in notice
        assert "has no command web" in notice
        assert f"sh {script_path(target.home, release)}" in notice
