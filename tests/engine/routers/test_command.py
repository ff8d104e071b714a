"""The command router with commands that lie, hang, flood and come too late; what a plan may ask of them."""

from __future__ import annotations

import asyncio
import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.config import VARIABLE, EngineConfigError
from engine.contract.routers import rollback_sh, run, write
from engine.routers import RouterConflict, RouterError
from engine.routers.command import CommandRouter
from engine.routers.command_config import CommandConfig
from tests.support.command_target import SECRET, CommandTarget

pytestmark = pytest.mark.real


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandTarget:
    monkeypatch.delenv(VARIABLE, raising=False)
    return CommandTarget(tmp_path)


async def until(true: Callable[[], bool]) -> None:
    for _ in range(500):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never became true")


# --- what a command is told


async def test_a_write_reaches_the_command_with_its_number_and_the_secret(target: CommandTarget) -> None:
    router = target.router()
    assert await router.shift(write(25, number="3.4")) == "now 25"
    assert target.writes() == [f"3.4 25 {SECRET}"]
    assert (await router.observe()).weight == 25


async def test_every_placeholder_has_its_value_whole_or_inside_an_argument(target: CommandTarget) -> None:
    names = ["weight", "stable_weight", "number", "release", "service", "canary", "generation", "engine", "zone"]
    target.configure(
        shift=["sh", "-c", 'echo "$@"', "sh", *(f"-{name}={{{name}}}" for name in names)], params=["side", "zone"]
    )
    router = target.router(zone="eu-1")
    said = await router.shift(write(25, "g7", "3.4"))
    assert said == (
        "-weight=25 -stable_weight=75 -number=3.4 -release=contract-1 -service=shop -canary=v2 -generation=g7 "
        "-engine=engine-a -zone=eu-1"
    )


async def test_rollback_and_scale_have_commands_of_their_own(target: CommandTarget) -> None:
    target.configure(rollback=["echo", "back from {release}, {weight}%"], scale=["echo", "for {weight}%"])
    router = target.router()
    assert await router.shift(write(0)) == "back from contract-1, 0%"
    assert await router.scale(50) == "for 50%"


def test_a_plan_can_not_scale_by_a_command_that_does_not(target: CommandTarget) -> None:
    target.configure(params=[], observe=["./look"], shift=["./move"])
    with pytest.raises(EngineConfigError, match="the command web has no scale"):
        CommandRouter(CommandConfig(run="web", scale="proportional"), target.surroundings())


def test_a_target_is_the_command_with_all_that_tells_its_targets_apart(target: CommandTarget) -> None:
    assert target.router().target == "command web side=canary"
    target.configure(params=[], observe=["./look", "{service}"], shift=["./move", "{canary}", "{weight}"])
    assert target.plain_router().target == "command web service=shop"
    assert target.plain_router(canary="v3").target == "command web service=shop"


def test_what_the_plan_gives_must_be_what_the_command_takes(target: CommandTarget) -> None:
    with pytest.raises(EngineConfigError, match="web needs a value for side: write it under params"):
        target.plain_router()
    with pytest.raises(EngineConfigError, match="web takes no zone; its params: side"):
        target.router(zone="eu-1")
    target.configure(params=[], observe=["./look"], shift=["./move", "{canary}"])
    with pytest.raises(EngineConfigError, match="needs the new version: start --canary VERSION"):
        target.plain_router(canary="")


# --- commands that don't do as they should


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (r"printf '\033[31mred: state is locked\033[0m\n' >&2; exit 1", "ended with code 1: red: state is locked"),
        ("echo only here; exit 4", "ended with code 4: only here"),
        ("exit 2", "ended with code 2: it said nothing"),
        (f"echo no access with {SECRET} >&2; exit 1", "no access with (a secret, not shown)"),
        ("sleep 60", "sh did not end within 1 s: stopped"),
    ],
)
async def test_a_command_that_fails_is_an_error_with_its_last_line(
    target: CommandTarget, script: str, said: str
) -> None:
    target.script("observe", script)
    with pytest.raises(RouterError) as error:
        await target.plain_router().observe()
    assert said in str(error.value)
    assert "observe of the command web" in str(error.value)
    assert SECRET not in str(error.value)


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        ("", "observe of the command web printed no JSON"),
        ('{"weight": NaN}', "printed no JSON: NaN is no number"),
        ('{"weight": 101}', "printed weight: found 101, allowed: 100 at most"),
        ('{"weight": 5}' + " " * 70_000, "printed more than 64 kB"),
    ],
)
async def test_an_answer_that_is_none_is_an_error(target: CommandTarget, printed: str, said: str) -> None:
    target.prints(printed)
    with pytest.raises(RouterError) as error:
        await target.plain_router().observe()
    assert said in str(error.value)


async def test_a_shift_that_says_yes_and_does_nothing_is_seen_in_what_is_observed(target: CommandTarget) -> None:
    target.script("shift", "echo done")
    router = target.plain_router()
    assert await router.shift(write(25)) == "done"
    assert (await router.observe()).weight == 0


async def test_a_shift_that_floods_is_bounded_and_done(target: CommandTarget) -> None:
    target.script("shift", "yes | head -c 1000000; (yes | head -c 1000000) >&2; echo $1 > weight; echo changed")
    router = target.plain_router()
    assert len(await router.shift(write(25))) <= 200
    assert target.weight() == 25


async def test_a_shift_that_leaves_a_write_behind_does_not_make_it(target: CommandTarget) -> None:
    target.script("shift", "(sleep 0.5; echo $1 > weight) & exit 0")
    await target.plain_router().shift(write(25))
    await asyncio.sleep(1)
    assert target.weight() == 0


# --- one write at a time


async def test_a_raise_over_another_generation_is_a_conflict(target: CommandTarget) -> None:
    router = target.router()
    seen = await router.observe()
    target.set(7)
    with pytest.raises(RouterConflict, match="the target has changed: 7% is on the canary now"):
        await router.shift(write(25, seen.generation))
    assert target.writes() == []


async def test_a_command_that_compares_by_itself_says_so_with_code_75(target: CommandTarget) -> None:
    script = '[ -z "$2" ] || [ "$2" = g7 ] || { echo "it is at g7" >&2; exit 75; }; echo $1 > weight'
    target.configure(shift=["sh", "-c", script, "sh", "{weight}", "{generation}"])
    router = target.router()
    with pytest.raises(RouterConflict, match="ended with code 75: it is at g7"):
        await router.shift(write(25, "g6"))
    await router.shift(write(25, "g7"))
    assert target.weight() == 25


SLOW = """
    if [ "$1" != 0 ]; then touch begun; sleep 30; fi
    echo $1 > weight
"""


async def test_a_way_back_ends_a_raise_that_runs(target: CommandTarget) -> None:
    target.script("shift", SLOW, timeout="1m")
    router = target.plain_router()
    raising = asyncio.create_task(router.shift(write(25)))
    await until((target.home / "begun").exists)
    target.set(3)
    async with asyncio.timeout(10):
        await router.shift(write(0))
        with pytest.raises(RouterConflict, match="stopped: a roll back took its place"):
            await raising
    assert target.weight() == 0


async def test_a_raise_that_waited_for_its_turn_does_not_come_after_a_way_back(target: CommandTarget) -> None:
    target.script("shift", SLOW, timeout="1m")
    router = target.plain_router()
    first = asyncio.create_task(router.shift(write(25)))
    await until((target.home / "begun").exists)
    (target.home / "begun").unlink()
    second = asyncio.create_task(router.shift(write(50)))
    await asyncio.sleep(0)
    await router.shift(write(0))
    for raising in (first, second):
        with pytest.raises(RouterConflict):
            await raising
    assert not (target.home / "begun").exists()
    assert target.weight() == 0


async def test_two_raises_run_one_after_the_other(target: CommandTarget) -> None:
    target.script("shift", "mkdir busy || exit 9; sleep 0.2; rmdir busy; echo $1 > weight")
    router = target.plain_router()
    await asyncio.gather(router.shift(write(25)), router.shift(write(50)))
    assert target.weight() == 50


async def test_a_raise_whose_caller_gives_up_ends(target: CommandTarget) -> None:
    target.script("shift", "touch begun; sleep 1; echo $1 > weight", timeout="1m")
    router = target.plain_router()
    raising = asyncio.create_task(router.shift(write(25)))
    await until((target.home / "begun").exists)
    raising.cancel()
    with pytest.raises(asyncio.CancelledError):
        await raising
    await asyncio.sleep(1.2)
    assert target.weight() == 0
    await router.shift(write(0))


async def test_what_runs_when_the_engine_ends_is_ended(target: CommandTarget) -> None:
    target.script("shift", SLOW, timeout="1m")
    router = target.plain_router()
    raising = asyncio.create_task(router.shift(write(25)))
    await until((target.home / "begun").exists)
    await router.close()
    with pytest.raises(RouterConflict):
        await raising


def test_its_time_limits_are_those_of_the_command(target: CommandTarget) -> None:
    target.configure(timeout="2m")
    router = target.router()
    assert router.observe_limit_s > 120
    assert router.shift_limit_s > router.observe_limit_s + 120
    assert router.effort_limit_s > 120


# --- without laneshift


def ended(command: list[str], **environment: str) -> tuple[int, str]:
    """How it ended and what it said."""
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=20)
    return ran.returncode, ran.stdout + ran.stderr


async def test_the_script_has_the_secrets_names_and_reads_their_values_when_it_runs(
    target: CommandTarget, tmp_path: Path
) -> None:
    target.script(
        "shift",
        'echo "$TOKEN $LOGIN$NONE;" >> writes; echo $1 > weight',
        env={"TOKEN": "${env:ELSEWHERE}", "LOGIN": "a'b ${file:token} $HOME", "NONE": ""},
    )
    router = target.plain_router(environment={"ELSEWHERE": "there"})
    target.set(50)
    path = rollback_sh(router, tmp_path)
    assert SECRET not in path.read_text() + router.manual_rollback("shop-1")
    for command in (["sh", str(path)], ["sh", "-c", router.manual_rollback("shop-1")]):
        assert ended(command, PATH=os.environ["PATH"], ELSEWHERE="there")[0] == 0
    assert target.writes() == [f"there a'b {SECRET} $HOME;"] * 2


@pytest.mark.parametrize("shell", ["sh", "dash", "bash --posix"])
@pytest.mark.parametrize(
    ("printed", "done"),
    [
        ('{"weight": 0}', True),
        ('{\n  "canary": "v2",\n  "weight" : 0.0 ,\n  "pending": ""\n}', True),
        ('{"weight": 0, "pending": "1 of 3 edges"}', False),
        ('{"weight": 10}', False),
        ('{"weight": 0.5}', False),
        ('{"weight": 1, "remark": "\\"weight\\": 0,"}', False),
        ('{"canary_weight": 0}', False),
        ("", False),
    ],
)
async def test_the_script_is_done_when_the_command_says_a_weight_of_0(
    target: CommandTarget, tmp_path: Path, printed: str, done: bool, shell: str
) -> None:
    target.prints(printed)
    path = rollback_sh(target.plain_router(), tmp_path, tries=1)
    code, said = ended([*shlex.split(shell), str(path)], PATH=os.environ["PATH"])
    assert (code == 0) is done, said
    assert ("NOT DONE" in said) is not done


async def test_the_script_does_not_trust_an_answer_of_a_command_that_failed(
    target: CommandTarget, tmp_path: Path
) -> None:
    target.script("observe", """echo '{"weight": 0}'; exit 1""")
    code, said = await run(str(rollback_sh(target.plain_router(), tmp_path, tries=1)))
    assert (code, "NOT DONE" in said) == (1, True)


async def test_the_script_does_not_hang_with_its_command(target: CommandTarget, tmp_path: Path) -> None:
    target.silence()
    code, said = await run(str(rollback_sh(target.router(), tmp_path, tries=1)))
    assert (code, "NOT DONE" in said) == (1, True)


async def test_odd_arguments_stay_arguments_in_the_script(target: CommandTarget, tmp_path: Path) -> None:
    odd = ["$(touch owned)", "`touch owned`", "a'b", '"', "; touch owned", "*", "{}", "%s"]
    target.prints('{"weight": 0}', rollback=["sh", "-c", 'printf "%s\\n" "$@" > told', "sh", *odd])
    code, said = await run(str(rollback_sh(target.plain_router(), tmp_path, tries=1)))
    assert code == 0, said
    assert (target.home / "told").read_text().splitlines() == odd
    assert not (target.home / "owned").exists()


# --- the doctor


async def test_the_doctor_is_told_what_is_missing(target: CommandTarget) -> None:
    target.configure(params=[], observe=["echo", '{"weight": 0}'], shift=["no-such-program"])
    said = {(found.grade, found.what): found.said for found in await target.plain_router().examine()}
    assert said["bad", "shift"] == "there is no program no-such-program on the PATH"
    assert ("ok", "observe") in said
    assert said["bad", "versions"].startswith("observe does not say canary, stable, canary_ready")


def test_a_plan_may_use_it_for_one_change_too() -> None:
    assert CommandConfig.strategies == {"canary", "plain"}
