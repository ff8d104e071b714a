"""Programs that end well, badly, late or never, print too much, and leave others behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import processes
from engine.processes import KEPT, NotRunError, Ran, environment_of, last_line, plain, run

pytestmark = pytest.mark.real


async def sh(folder: Path, script: str, limit_s: float = 5.0, **variables: str) -> Ran:
    return await run(["sh", "-c", script], environment=environment_of(variables), folder=folder, limit_s=limit_s)


async def becomes(true: Callable[[], bool], tries: int = 500) -> bool:
    """Is it true within some seconds?"""
    for _ in range(tries):
        if true():
            return True
        await asyncio.sleep(0.02)
    return False


async def gone(folder: Path) -> bool:
    """Does the process end whose number is in the file `pid`?"""
    number = int((folder / "pid").read_text())
    return await becomes(lambda: not alive(number))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def alive(number: int) -> bool:
    """Runs this process? One that nobody has reaped yet has ended."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def written(path: Path) -> None:
    assert await becomes(lambda: path.exists() and bool(path.read_text().strip()))


async def test_what_it_prints_and_how_it_ends_are_returned(tmp_path: Path) -> None:
    ran = await sh(tmp_path, "pwd; echo told >&2; exit 3")
    assert (ran.code, ran.out.decode().strip(), ran.err, ran.cut) == (3, str(tmp_path), b"told\n", False)


async def test_it_has_nothing_to_read_and_only_the_environment_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_ANOTHER_PLAN", "a secret")
    ran = await sh(tmp_path, 'cat; echo "$PATH|$OWN|$OF_ANOTHER_PLAN"', OWN="mine")
    assert ran.out.decode() == f"{os.environ['PATH']}|mine|\n"


async def test_arguments_reach_it_as_they_are(tmp_path: Path) -> None:
    odd = ["$(touch owned)", "a b", "'\"", "*", "; touch owned", ""]
    ran = await run(["printf", "%s|", *odd], environment=environment_of({}), folder=tmp_path, limit_s=5)
    assert ran.out.decode() == "".join(f"{each}|" for each in odd)
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["no-such-program", "./no-such-program", "./text"])
async def test_a_program_that_is_not_there_is_said(tmp_path: Path, name: str) -> None:
    (tmp_path / "text").write_text("not executable")
    with pytest.raises(NotRunError, match=f"there is no program {name}"):
        await run([name], environment=environment_of({}), folder=tmp_path, limit_s=5)


async def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotRunError, match="there is no folder"):
        await sh(tmp_path / "gone", "true")


@pytest.mark.parametrize("watched", [True, False])
async def test_one_that_can_not_be_run_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, watched: bool
) -> None:
    """With timeout(1) before it, and on a machine without that."""
    (tmp_path / "odd").write_text("#!/no/such/interpreter\n")
    (tmp_path / "odd").chmod(0o755)
    if watched:
        ran = await run(["./odd"], environment=environment_of({}), folder=tmp_path, limit_s=5)
        assert (ran.code, "No such file" in last_line(ran.err)) == (127, True)
    else:
        monkeypatch.setattr(processes, "_watchdog", lambda _limit_s: [])
        with pytest.raises(NotRunError, match="can't be run: No such file"):
            await run(["./odd"], environment=environment_of({}), folder=tmp_path, limit_s=5)


async def test_one_that_hangs_is_stopped_with_all_it_started(tmp_path: Path) -> None:
    with pytest.raises(NotRunError, match=r"sh did not end within 0.3 s: stopped"):
        await sh(tmp_path, "sh -c 'echo $$ > pid; sleep 60' & sleep 60", 0.3)
    assert await gone(tmp_path)


async def test_one_that_ignores_sigterm_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "GRACE_S", 0.2)
    with pytest.raises(NotRunError):
        await sh(tmp_path, "trap '' TERM; echo $$ > pid; while :; do sleep 0.1; done", 0.3)
    assert await gone(tmp_path)


async def test_one_that_wants_to_give_back_a_lock_can(tmp_path: Path) -> None:
    with pytest.raises(NotRunError):
        await sh(tmp_path, "touch lock; trap 'rm lock; exit' TERM; while :; do sleep 0.05; done", 0.3)
    assert not (tmp_path / "lock").exists()


async def test_what_it_leaves_in_the_background_ends_with_it(tmp_path: Path) -> None:
    """A late write of a child would land after a roll back."""
    ran = await sh(tmp_path, "(sleep 60 & echo $! > pid); echo done")
    assert (ran.code, ran.out) == (0, b"done\n")
    assert await gone(tmp_path)


async def test_one_that_left_its_group_and_holds_the_output_is_not_waited_for(tmp_path: Path) -> None:
    ran = await sh(
        tmp_path, "setsid sh -c 'echo $$ > pid; exec sleep 60' & while [ ! -s pid ]; do sleep 0.01; done; echo done"
    )
    number = int((tmp_path / "pid").read_text())
    assert alive(number)
    os.kill(number, signal.SIGKILL)
    assert (ran.code, ran.out) == (0, b"done\n")


async def test_of_much_output_the_first_is_kept_and_of_errors_the_last(tmp_path: Path) -> None:
    ran = await sh(tmp_path, "echo first; yes out | head -c 300000; (yes err | head -c 300000; echo last) >&2")
    assert ran.code == 0
    assert (len(ran.out), ran.out[:6], ran.cut) == (KEPT, b"first\n", True)
    assert (len(ran.err), last_line(ran.err)) == (KEPT, "last")


async def test_endless_output_is_neither_read_nor_kept_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who writes it waits, and burns no processor of the engine."""
    monkeypatch.setattr(processes, "MOST", 1_000_000)
    with pytest.raises(NotRunError, match="did not end within 2 s and printed more than 1,000,000 bytes"):
        await sh(tmp_path, "echo $$ > pid; head -c 50000000 /dev/zero; touch written", 2)
    assert names(tmp_path) == ["pid"]
    assert await gone(tmp_path)


async def test_when_it_is_cancelled_the_program_ends_too(tmp_path: Path) -> None:
    task = asyncio.create_task(sh(tmp_path, "sh -c 'echo $$ > pid; sleep 60'; true", 60))
    await written(tmp_path / "pid")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await gone(tmp_path)


async def test_one_that_is_cancelled_while_it_begins_ends_too(tmp_path: Path) -> None:
    for turns in range(8):
        task = asyncio.create_task(sh(tmp_path, f"echo begun > begun{turns}; sleep 1; echo ended > ended{turns}", 60))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await asyncio.sleep(1.2)
    assert [name for name in names(tmp_path) if name.startswith("ended")] == []


async def test_one_whose_engine_is_gone_ends_by_itself(tmp_path: Path) -> None:
    """An engine that was killed stops nothing; a raise must not land a long time after it."""
    code = """
import asyncio, os, sys
from pathlib import Path
from engine import processes
processes.GRACE_S = 0.0
script = ["sh", "-c", "echo $$ > pid; while :; do sleep 0.1; done"]
asyncio.run(processes.run(script, environment=processes.environment_of({}), folder=Path(sys.argv[1]), limit_s=0.5))
"""
    engine = await asyncio.create_subprocess_exec(sys.executable, "-c", code, str(tmp_path))
    await written(tmp_path / "pid")
    engine.kill()
    await engine.wait()
    assert await gone(tmp_path)


async def test_many_at_once_do_not_wait_for_each_other(tmp_path: Path) -> None:
    """Each waits for the next one to have begun."""
    scripts = [f"touch {n}; while [ ! -e {(n + 1) % 12} ]; do sleep 0.05; done; echo {n}" for n in range(12)]
    ran = await asyncio.gather(*(sh(tmp_path, script, 20) for script in scripts))
    assert [each.out.decode().strip() for each in ran] == [str(number) for number in range(12)]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("\x1b[31mError:\x1b[0m no lock", "Error: no lock"),
        ("\x1b]0;title\x07done\x1b]8;;http://a\x1b\\", "done"),
        ("a\x00b\x08c\u202ed", "abcd"),
        ("[bold]as it is[/]", "[bold]as it is[/]"),
        ("x" * 300, "x" * 197 + "..."),
        ("  \t ", ""),
    ],
)
def test_text_of_a_program_is_fit_for_a_terminal(said: str, shown: str) -> None:
    assert plain(said) == shown


def test_the_last_line_is_the_last_that_says_something() -> None:
    assert last_line("│ Error: state is locked\r\n╵\n\n".encode()) == "│ Error: state is locked"
    assert last_line(b"\xff\xfe broken\n") == "\ufffd\ufffd broken"
    assert last_line(b"") == ""
