"""The tests that every router passes against its real server; a router in another package runs them in the same way.

They need pytest and pytest-asyncio. Write a `World` (the real server, and how to read, change and break it by other
means than the router), give it as the fixture `world`, and subclass what your router promises:

    pytest.register_assert_rewrite("engine.contract.routers")     # in conftest.py, for readable failures

    class TestMyRouter(RouterContract, FencedContract, MarkContract):
        @pytest.fixture
        async def world(self) -> AsyncIterator[MyWorld]:
            async with my_server() as server:
                yield MyWorld(server)

    RouterContract      every router
    FencedContract      a raise is refused when the target has moved on, and a way back moves it on even from 0 to 0
    MarkContract        the target holds a mark: the number of the last write, for which release and engine
    InstancesContract   the target is several servers of which one can fall silent
    SecretContract      the router is configured with a secret

`asyncio_mode = "auto"`, or mark the subclass with `pytest.mark.asyncio`. Every test begins at weight 0 with both sides
ready, and leaves the target to the fixture to clean up.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Protocol

import pytest

from engine import events as ev
from engine.events import SCRIPT
from engine.inputs import Observation
from engine.routers import Ending, Router, RouterConflict, RouterError, Write
from engine.script import script_path, write_script
from engine.state import State, created

RELEASE = "contract-1"
ENGINE = "engine-a"
OTHER_ENGINE = "engine-b"
PATIENCE_S = 20.0
MOST_TRIES = "-lt 30"  # as rollback.sh says it


class World(Protocol):
    """A real target with a real router on it.

    router:   the router under test; the fixture closes it
    versions: what runs as canary and as stable, as the router should show it
    """

    router: Router
    versions: tuple[str, str]

    async def shown(self) -> float:
        """The canary's weight in percent, read by other means than the router."""

    async def edit(self, weight: int) -> None:
        """Set the weight as a person would by hand, without laneshift."""

    def another(self) -> Router:
        """A second router on the same target, as another engine would have it. The caller closes it."""

    def misnamed(self) -> tuple[Router, str]:
        """A router whose canary's name the target does not have, and a name that it does have."""

    async def silence(self) -> None:
        """The server takes connections and answers nothing. Returns when it has really stopped."""

    async def wake(self) -> None:
        """It goes on, with whatever it was sent meanwhile."""

    async def kill(self) -> None:
        """The server is gone for good."""


class InstancesWorld(World, Protocol):
    """A target of several servers."""

    async def silence_one(self) -> str:
        """One of the servers falls silent; returns how the router names it."""


class SecretWorld(World, Protocol):
    """A router with a secret."""

    secret: str


def write(
    weight: int, generation: str | None = None, number: str = "1.1", *, release: str = RELEASE, engine: str = ENGINE
) -> Write:
    """A write as the engine makes it; without a generation it is written over anything."""
    return Write(release, number, weight, generation, engine)


class RouterContract:
    """What every router promises. Override `weights` where the target can't take just any of them.

    settle_s:     how long the target may take until what was written is in effect
    limit_s:      within which a router must say that it got no answer
    """

    weights: ClassVar[tuple[int, ...]] = (5, 25, 50, 100)
    settle_s: ClassVar[float] = 5.0
    limit_s: ClassVar[float] = 10.0

    # --- reading and writing

    async def test_what_it_observes_is_what_the_target_has(self, world: World) -> None:
        for weight in (*self.weights, 0):
            await world.edit(weight)
            seen = await self.settled(world, weight)
            assert seen.weight == await world.shown()

    async def test_both_sides_are_there_with_their_versions_and_what_is_ready(self, world: World) -> None:
        seen = await self.settled(world, 0)
        assert (seen.canary, seen.stable) == world.versions
        assert (seen.canary_ready or 0) > 0
        assert (seen.stable_ready or 0) > 0

    async def test_what_is_written_is_in_effect_and_read_back(self, world: World) -> None:
        for number, weight in enumerate((*self.weights, 0)):
            seen = await self.observed(world)
            await world.router.shift(write(weight, seen.generation if weight else None, f"1.{number}"))
            assert (await self.settled(world, weight)).pending == ""
            assert await world.shown() == weight

    async def test_the_same_write_again_changes_nothing(self, world: World) -> None:
        weight = self.weights[0]
        again = write(weight, (await self.observed(world)).generation)
        for _ in range(2):
            with suppress(RouterConflict):  # taken already: what it had read is the past
                await world.router.shift(again)
            await self.settled(world, weight)
        assert await world.shown() == weight

    async def test_a_change_by_hand_is_seen(self, world: World) -> None:
        await self.shifted(world, self.weights[0])
        before = await self.observed(world)
        await world.edit(self.weights[-1])
        after = await self.settled(world, self.weights[-1])
        assert after.generation != before.generation

    async def test_a_backend_that_is_not_there_is_said_with_those_that_are(self, world: World) -> None:
        router, known = world.misnamed()
        try:
            with pytest.raises(RouterError, match=known):
                await router.observe()
        finally:
            await router.close()

    # --- the way back

    async def test_the_way_back_works_from_every_weight_and_twice(self, world: World) -> None:
        for weight in self.weights:
            await self.shifted(world, weight)
            for number in ("2.1", "2.2"):
                await world.router.shift(write(0, None, number))
                await self.settled(world, 0)
                assert await world.shown() == 0

    async def test_the_way_back_is_written_over_a_change_by_hand(self, world: World) -> None:
        await self.shifted(world, self.weights[0])
        await world.edit(self.weights[-1])
        await world.router.shift(write(0))
        await self.settled(world, 0)
        assert await world.shown() == 0

    async def test_the_way_back_reads_nothing_first(self, world: World) -> None:
        """A router that was just made, as after a crash."""
        await self.shifted(world, self.weights[-1])
        router = world.another()
        try:
            await router.shift(write(0))
            await self.settled(world, 0)
        finally:
            await router.close()

    async def test_a_rehearsal_changes_nothing(self, world: World) -> None:
        await self.shifted(world, self.weights[0])
        before = await self.observed(world)
        assert await world.router.rehearse(write(0))
        assert (await self.observed(world)).generation == before.generation
        assert await world.shown() == self.weights[0]

    async def test_an_examination_changes_nothing_and_finds_nothing_bad(self, world: World) -> None:
        before = await self.observed(world)
        findings = await world.router.examine()
        assert findings
        assert [finding for finding in findings if finding.grade == "bad"] == []
        assert (await self.observed(world)).generation == before.generation

    # --- a server that does not answer

    async def test_silence_is_an_error_in_time_and_the_way_back_works_afterwards(self, world: World) -> None:
        await self.shifted(world, self.weights[0])
        await world.silence()
        for asked in (
            world.router.observe,
            lambda: world.router.shift(write(0)),
            lambda: world.router.rehearse(write(0)),
        ):
            begun = time.monotonic()
            with pytest.raises(RouterError):
                await asked()
            assert time.monotonic() - begun < self.limit_s
        assert any(finding.grade == "bad" for finding in await world.router.examine())
        await world.wake()
        await self.way_back(world)

    async def test_a_raise_that_was_not_answered_does_not_outlive_the_way_back(self, world: World) -> None:
        generation = (await self.observed(world)).generation
        await world.silence()
        with pytest.raises(RouterError):
            await world.router.shift(write(self.weights[-1], generation))
        await world.wake()
        await self.way_back(world)
        assert await world.shown() == 0

    async def test_a_server_that_is_gone_is_an_error_and_a_bad_finding(self, world: World) -> None:
        await world.kill()
        with pytest.raises(RouterError):
            await world.router.observe()
        with pytest.raises(RouterError):
            await world.router.shift(write(0))
        with pytest.raises(RouterError):
            await world.router.rehearse(write(0))
        assert any(finding.grade == "bad" for finding in await world.router.examine())

    # --- without laneshift

    async def test_the_command_for_a_person_fails_when_nothing_answers(self, world: World) -> None:
        await world.kill()
        code, said = await run("-c", world.router.manual_rollback(RELEASE))
        assert code != 0, said

    async def test_the_command_for_a_person_brings_all_traffic_back(self, world: World) -> None:
        await self.shifted(world, self.weights[-1])
        for _ in range(2):
            code, said = await run("-c", world.router.manual_rollback(RELEASE))
            assert code == 0, said
            await self.settled(world, 0)
            assert await world.shown() == 0

    async def test_rollback_sh_brings_all_traffic_back_and_works_twice(self, world: World, tmp_path: Path) -> None:
        await self.shifted(world, self.weights[-1])
        for _ in range(2):
            code, said = await run(str(rollback_sh(world.router, tmp_path)))
            assert code == 0, said
            assert "all traffic is on stable" in said
            await self.settled(world, 0)
            assert await world.shown() == 0

    async def test_rollback_sh_says_when_it_is_not_done(self, world: World, tmp_path: Path) -> None:
        await self.shifted(world, self.weights[-1])
        path = rollback_sh(world.router, tmp_path, tries=1)
        await world.kill()
        code, said = await run(str(path))
        assert (code, "NOT DONE" in said) == (1, True), said

    # --- what the tests are made of

    async def observed(self, world: World) -> Observation:
        """What the router shows now."""
        async with asyncio.timeout(self.limit_s):
            return await world.router.observe()

    async def settled(self, world: World, weight: int) -> Observation:
        """What the router shows once this weight is in effect everywhere; fails when it never is."""
        deadline = time.monotonic() + self.settle_s
        while True:
            seen = await self.observed(world)
            if (seen.weight == weight and not seen.pending) or time.monotonic() > deadline:
                assert (seen.weight, seen.pending) == (weight, "")
                return seen
            await asyncio.sleep(0.05)

    async def shifted(self, world: World, weight: int) -> Observation:
        """What is shown after a write of this weight is in effect."""
        await world.router.shift(write(weight, (await self.observed(world)).generation))
        return await self.settled(world, weight)

    async def way_back(self, world: World) -> None:
        """Roll back as the engine does: written again until it is answered."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                await world.router.shift(write(0, None, "9.9"))
                break
            except RouterError:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.2)
        await self.settled(world, 0)


class FencedContract(RouterContract):
    """A raise with a generation that is not the target's any more is refused."""

    async def test_a_raise_over_a_change_by_hand_is_refused(self, world: World) -> None:
        seen = await self.observed(world)
        await world.edit(self.weights[1])
        with pytest.raises(RouterConflict):
            await world.router.shift(write(self.weights[-1], seen.generation))
        assert await world.shown() == self.weights[1]

    async def test_a_delayed_raise_does_not_land_after_a_way_back(self, world: World) -> None:
        """Not even after one from 0 to 0, which changes no weight."""
        for weight, number in ((self.weights[0], "3.1"), (0, "3.2")):
            seen = await self.shifted(world, weight) if weight else await self.observed(world)
            await world.router.shift(write(0, None, number))
            assert (await self.settled(world, 0)).generation != seen.generation
            with pytest.raises(RouterConflict):
                await world.router.shift(write(self.weights[-1], seen.generation, "3.0"))
            assert await world.shown() == 0

    async def test_a_delayed_raise_does_not_land_after_the_script(self, world: World, tmp_path: Path) -> None:
        seen = await self.shifted(world, self.weights[0])
        await run(str(rollback_sh(world.router, tmp_path)))
        with pytest.raises(RouterConflict):
            await world.router.shift(write(self.weights[-1], seen.generation))
        assert await world.shown() == 0


class MarkContract(RouterContract):
    """The target holds the number of the last write, and for which release and engine it was made."""

    async def test_a_write_leaves_its_number(self, world: World) -> None:
        for weight, number in ((self.weights[0], "4.1"), (0, "4.2")):
            generation = (await self.observed(world)).generation
            await world.router.shift(write(weight, generation if weight else None, number))
            seen = await self.settled(world, weight)
            assert (seen.mark, seen.marked_release, seen.engine) == (number, RELEASE, ENGINE)

    async def test_the_script_leaves_its_name(self, world: World, tmp_path: Path) -> None:
        await self.shifted(world, self.weights[0])
        await run(str(rollback_sh(world.router, tmp_path)))
        seen = await self.settled(world, 0)
        assert (seen.by, seen.marked_release) == (SCRIPT, RELEASE)

    async def test_another_engines_target_is_refused_with_the_release_that_has_it(self, world: World) -> None:
        await world.router.claim(RELEASE, ENGINE)
        router = world.another()
        try:
            with pytest.raises(RouterConflict, match=RELEASE):
                await router.claim("contract-2", OTHER_ENGINE)
        finally:
            await router.close()
        await world.router.claim(RELEASE, ENGINE)

    async def test_a_claim_moves_no_traffic(self, world: World) -> None:
        await world.edit(self.weights[0])
        await world.router.claim(RELEASE, ENGINE)
        assert await world.shown() == self.weights[0]

    async def test_what_is_let_go_can_be_claimed_by_another_engine(self, world: World) -> None:
        await world.router.claim(RELEASE, ENGINE)
        await self.shifted(world, self.weights[0])
        for _ in range(2):
            await world.router.let_go(Ending(RELEASE, "promoted"))
        assert await world.shown() == self.weights[0]
        router = world.another()
        try:
            await router.claim("contract-2", OTHER_ENGINE)
        finally:
            await router.close()


class InstancesContract(RouterContract):
    """Several servers carry the traffic: what is in effect is in effect on each of them."""

    async def test_a_silent_one_is_not_in_effect(self, world: InstancesWorld) -> None:
        await self.shifted(world, self.weights[0])
        name = await world.silence_one()
        seen = await self.observed(world)
        assert name in seen.pending
        await world.wake()
        await self.settled(world, self.weights[0])

    async def test_a_way_back_reaches_the_others_and_says_which_is_silent(self, world: InstancesWorld) -> None:
        await self.shifted(world, self.weights[-1])
        name = await world.silence_one()
        with pytest.raises(RouterError, match=name):
            await world.router.shift(write(0, None, "5.1"))
        seen = await self.observed(world)
        assert name in seen.pending
        await world.wake()
        await self.way_back(world)
        assert await world.shown() == 0


class SecretContract(RouterContract):
    """What is written for people to run holds no secret."""

    async def test_no_secret_is_in_what_a_person_runs(self, world: SecretWorld) -> None:
        texts = (world.router.manual_rollback(RELEASE), world.router.rollback_script(RELEASE), world.router.target)
        assert [text for text in texts if world.secret in text] == []


def rollback_sh(router: Router, home: Path, tries: int = 30) -> Path:
    """The script that a release of this router would have."""
    write_script(home, _release(router), router)
    path = script_path(home, RELEASE)
    path.write_text(path.read_text().replace(MOST_TRIES, f"-lt {tries}"))
    return path


def _release(router: Router) -> State:
    event = ev.Created(
        at=1.0,
        release=RELEASE,
        service="contract",
        summary="",
        target=router.target,
        plan_digest="0",
        canary_wanted="",
        who="contract",
        rules=ev.Rules(stages=(), metrics=(), items=(), checks={}),
        manual_rollback=router.manual_rollback(RELEASE),
    )
    return created(event)


async def run(*arguments: str) -> tuple[int, str]:
    """The exit code of /bin/sh with these arguments and what it said."""
    process = await asyncio.create_subprocess_exec(
        "/bin/sh", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode(errors="replace")
