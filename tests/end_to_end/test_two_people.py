"""Two people, two SSH lines, one release: they see each other, one loses the line, the other takes the release back."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine import events as ev
from sandbox import process as sandbox_process
from tests.support.engine_process import PLAN, Stand
from tests.support.programs import need
from tests.support.sshd_process import Sshd, need_root, running_sshd
from tests.support.tmux_terminal import Terminal

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]

ROLES = """
roles:
  operator: {{users: [{alice}, {bob}]}}
  approver: {{users: [{alice}, {bob}]}}
  viewer: {{users: ["*"]}}
"""


@dataclass
class Shared(Stand):
    """A stand whose engine listens at a socket that a group may open."""

    socket: Path = Path()
    group: str = ""

    def spawn(self) -> subprocess.Popen[bytes]:
        words = ["serve", "--socket", str(self.socket), "--group", self.group]
        with (self.home / "engine.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "cli.main", *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.home,
                env={**os.environ, "LANESHIFT_HOME": str(self.home)},
            )


@dataclass
class Bastion:
    """Where two people log in; an engine and a sandbox beside it."""

    sshd: Sshd
    stand: Shared
    alice: str
    bob: str
    carol: str
    folder: Path

    def program(self, *words: str) -> str:
        """`laneshift` as people run it in a session."""
        settings = ["LC_ALL=C.UTF-8", f"LANESHIFT_ENGINE={self.stand.socket}"]
        return shlex.join(["env", *settings, sys.executable, "-P", "-m", "cli.main", *words])

    def cockpit(self, user: str, terminal: Terminal, width: int, height: int, *words: str) -> None:
        """This person's terminal, with the cockpit at the other end of an SSH line."""
        command = self.program("watch", *words, self.stand.release)
        terminal.run(shlex.join(self.sshd.line(user, command, terminal=True)), width=width, height=height)

    def start(self, user: str, gate: str = "") -> None:
        """A release, started by this person; `gate` stands before its first stage is left."""
        plan = PLAN.format(gateway=self.stand.sandbox.urls.gateway, advance="manual")
        plan = plan.replace("min_requests: 20}", f"min_requests: 20{gate}}}")
        self.sshd.run(user, "cat > plan.yaml", plan)
        self.stand.release = self.sshd.run(user, self.program("start", "plan.yaml")).split()[0].rstrip(":")


@pytest.fixture
def bastion() -> Iterator[Bastion]:
    need_root()
    need("tmux")
    folder = Path(tempfile.mkdtemp(prefix="ls-"))
    folder.chmod(0o755)
    home = folder / "engine"
    home.mkdir(mode=0o700)
    with ExitStack() as everything:
        everything.callback(shutil.rmtree, folder)
        sshd = everything.enter_context(running_sshd(folder, "alice", "bob", "carol"))
        alice, bob, carol = sshd.users
        (home / "engine.yaml").write_text(ROLES.format(alice=alice, bob=bob))
        started = everything.enter_context(sandbox_process.running(home, base_port=0, rps=150, seed=11))
        stand = Shared(home, sandbox=started, socket=folder / "engine.sock", group=sshd.group)
        stand.client.address = str(stand.socket)
        stand.boot()
        everything.callback(stand.kill)
        yield Bastion(sshd, stand, alice, bob, carol, folder)


@pytest.fixture
def terminals(bastion: Bastion) -> Iterator[list[Terminal]]:
    """Alice's, bob's and carol's."""
    folders = [bastion.folder / f"terminal-{number}" for number in range(3)]
    for folder in folders:
        folder.mkdir()
    opened = [Terminal(folder) for folder in folders]
    yield opened
    for terminal in opened:
        terminal.kill()


def head(screen: str) -> str:
    return screen.splitlines()[0]


def test_one_advances_and_loses_the_line_the_other_rolls_back(
    bastion: Bastion, terminals: list[Terminal], record_property: Callable[[str, object], None]
) -> None:
    alice, bob, carol = terminals
    stand = bastion.stand
    bastion.start(bastion.alice)
    bastion.cockpit(bastion.alice, alice, 120, 35)
    bastion.cockpit(bastion.bob, bob, 80, 24)
    assert bastion.bob in head(alice.shows("READY TO START", bastion.bob, limit=60))
    screen = bob.shows("READY TO START", f"{bastion.alice} ")
    assert bastion.alice in head(screen)
    assert all(len(line) <= 80 for line in screen.splitlines())

    pressed = time.monotonic()
    alice.press("a")
    bob.shows("stage 1", limit=30)
    followed = time.monotonic() - pressed
    record_property("seconds until the other's screen followed", round(followed, 3))
    print(f"the other's screen followed after {followed:.2f} s")
    assert bastion.alice in head(bob.shows(f"{bastion.alice} drives", limit=30))
    assert "you drive" in head(alice.shows("you drive", limit=30))

    os.kill(alice.pid(), 9)  # the line is cut, without a word
    assert f"{bastion.alice} drives" not in head(bob.shows(f"{bastion.alice} is gone", limit=30))
    bob.shows("READY", "20% observed", limit=60)
    assert stand.weight() == 20

    bastion.cockpit(bastion.carol, carol, 80, 24, "--read-only")
    carol.shows("READ-ONLY", "READY", bastion.bob)
    carol.press("a")
    carol.shows("read-only cockpit: leave and open it without --read-only")
    carol.press("R")
    carol.shows(f"laneshift rollback {stand.release}")
    carol.press("y")
    assert stand.weight() == 20

    bob.press("R")
    bob.shows("Roll back shop to", "Cancel")
    bob.press("y")
    bob.shows("ROLLED BACK", limit=30)
    assert stand.weight() == 0

    orders = [event for event in stand.history() if isinstance(event, ev.OrderAccepted)]
    given = [(order.verb, order.who) for order in orders if order.verb in ("advance", "rollback")]
    assert given == [("advance", bastion.alice), ("rollback", bastion.bob)]
    assert all("from 127.0.0.1" in order.where for order in orders)
    assert all("pid " in order.where for order in orders)


def test_two_approve_an_engine_comes_back_and_a_third_breaks_the_glass(
    bastion: Bastion, terminals: list[Terminal]
) -> None:
    alice, bob, carol = terminals
    stand = bastion.stand
    bastion.start(bastion.alice, ", gate: {approvers: 2, expires: 1h}")
    bastion.cockpit(bastion.alice, alice, 120, 35)
    bastion.cockpit(bastion.bob, bob, 80, 24)
    bastion.cockpit(bastion.carol, carol, 80, 24)
    alice.shows("READY TO START", bastion.bob, bastion.carol)
    bob.shows("READY TO START", "2 watch")
    alice.press("a")
    alice.shows("WAITING", "waits for 2 approvals", "V approve")
    alice.press("V")
    alice.shows("Approve shop, stage 1 (20%)?", "the engine knows you so")
    alice.press("y")
    alice.shows("approve: in effect", "gate 1/2")
    alice.press("V")
    alice.shows("the second approval comes from another person")
    bob.shows("gate 1/2", "V approve")
    bob.press("V")
    bob.shows("Approve shop, stage 1 (20%)?", bastion.alice)
    bob.press("y")
    bob.shows("READY", "gate 2/2")
    bob.press("a")
    alice.shows("stage 2 of 3", "60% observed")

    stand.kill()
    alice.shows("NO ENGINE: nothing is guarded.")
    stand.boot()
    for terminal in terminals:
        terminal.shows("engine", "nothing was heard of the engine from")
    screen = alice.shows("stage 2 of 3", bastion.bob, bastion.carol)
    assert "NO ENGINE" not in screen

    carol.press("a")
    carol.press("R")
    carol.shows("Roll back shop to", "Cancel")
    carol.press("y")
    carol.shows("Break the glass: roll back shop?")
    assert stand.weight() == 60
    carol.press("-l", "nobody else is awake")
    carol.press("Enter")
    for terminal in terminals:
        terminal.shows("GLASS BROKEN.", bastion.carol, "ROLLED BACK")
    assert stand.weight() == 0
    told = [event for event in stand.history() if isinstance(event, ev.GlassBroken | ev.Approved)]
    assert [event.who for event in told] == [bastion.alice, bastion.bob, bastion.carol]
    assert all("from 127.0.0.1" in event.where for event in told)
