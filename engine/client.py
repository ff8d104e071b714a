"""The one way that any front end talks to an engine.

One-shot orders go over a bare unix socket or TLS (`engine.line`): nothing heavy is imported, for whoever rolls back
must not wait for a library to load. Only `events`, which the cockpit follows, uses httpx.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import line
from engine.line import EngineGone, EngineRefused

if TYPE_CHECKING:
    import subprocess

    import httpx

    from engine.events import Event

__all__ = [
    "Answer",
    "Beat",
    "EngineClient",
    "EngineGone",
    "EngineRefused",
    "Here",
    "Said",
    "Summary",
    "ensure_engine",
    "home",
]

LOG_NAME = "engine.log"
START_LIMIT_S = 15.0
HERE_LIMIT_S = 2.0  # an engine that can't say who it is by then is not there
OTHER_LIMIT_S = 3.0  # how long another engine, which holds the journal, may take until it answers
REFUSED = 4  # the exit code of an engine that finds another one at work
BEATS_LIMIT_S = 5.0  # a stream without a beat for that long is dead

_started: list[subprocess.Popen[bytes]] = []  # engines outlive who starts them; a Popen that is dropped complains


@dataclass(frozen=True, slots=True)
class Here:
    """Somebody who is attached to a release: since when, and whether the release's last order was theirs."""

    who: str
    where: str
    since: float
    driving: bool


@dataclass(frozen=True, slots=True)
class Beat:
    """The engine is there; its time, what is wrong with it, and who is attached."""

    at: float
    notices: tuple[str, ...] = ()
    here: tuple[Here, ...] = ()


@dataclass(frozen=True, slots=True)
class Said:
    """One recorded event with its number in the release."""

    seq: int
    event: Event


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of an order: accepted, or why not."""

    accepted: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """One release in a list. `weight` is the one observed, in percent, None when it was never read."""

    release: str
    service: str
    phase: str
    stage: int
    weight: float | None
    target: str = ""
    paused_by: str = ""
    here: int = 0
    holder: str = ""


def home() -> Path:
    """The state folder: $LANESHIFT_HOME, else laneshift in the user's state folder."""
    return Path(line.state_folder())


class EngineClient:
    """Talks to the engine at one address."""

    def __init__(
        self,
        address: str | None = None,
        who: str | None = None,
        *,
        folder: Path | None = None,
        read_only: bool = False,
    ) -> None:
        """`address` is a socket's path or `https://host:port`, by default `line.address()`; with `folder`, it is the
        engine of that state folder. `who` is how this person is called here; the engine goes by what the connection
        proves. With `read_only` no order leaves this client."""
        self.address = address or (line.own_address(str(folder)) if folder else line.address())
        self.folder = folder or home()
        self.who = who or line.user()
        self.read_only = read_only

    @property
    def is_own(self) -> bool:
        """Is it the engine of the user's own state folder, which may be started from here?"""
        return self.address == line.own_address(str(self.folder))

    @property
    def socket(self) -> Path:
        """The path of the engine's unix socket, where the address is one."""
        return Path(self.address)

    # --- one-shot

    def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        limit_s: float = line.ANSWER_LIMIT_S,
    ) -> Any:
        """One request, one JSON answer. Raises EngineGone, EngineRefused."""
        return line.ask(self.address, method, path, body, limit_s)

    def is_there(self) -> bool:
        """Does an engine answer?"""
        try:
            self.ask("GET", "/v1/engine", limit_s=HERE_LIMIT_S)
        except EngineGone:
            return False
        except EngineRefused:
            return True  # it answers, though not to us
        return True

    def give(self, release: str, verb: str, **said: Any) -> Answer:
        """Give an order; `said` are its fields. Raises EngineGone, EngineRefused for an unknown release."""
        if self.read_only:
            return Answer(accepted=False, why=f"{verb}: this cockpit only looks (--read-only)")
        why = line.give(self.address, release, {"verb": verb, **_present(said)}, who=self.who)
        return Answer(accepted=not why, why=why)

    def held(self) -> list[Summary]:
        """All releases that the engine holds. Raises EngineGone."""
        return [_summary(one) for one in self.ask("GET", "/v1/releases")]

    def look(self, release: str) -> dict[str, Any]:
        """One look at a release. Raises EngineGone, EngineRefused."""
        seen: dict[str, Any] = self.ask("GET", line.release_path(release))
        return seen

    def begin(
        self,
        plan: str,
        name: str,
        *,
        canary: str = "",
        key: str = "",
        observe: bool = False,
        files: Sequence[Mapping[str, str]] = (),
    ) -> str:
        """Start a release of this plan's text, or only judge what something else does (`observe`); returns its id.

        `files` are those that the plan names: each its `name`, `sha256` and `content`.

        Raises EngineGone, EngineRefused.
        """
        body = {"plan": plan, "name": name, "who": self.who, "canary": canary, "key": key, "observe": observe}
        return str(self.ask("POST", "/v1/releases", body | ({"files": list(files)} if files else {}))["release"])

    def examine(self, plan: str, name: str, *, canary: str = "", observe: bool = False) -> list[dict[str, str]]:
        """Try what a release of this plan's text will need; each finding's grade, what, said and mend.

        Raises EngineGone, EngineRefused.
        """
        body = {"plan": plan, "name": name, "canary": canary, "observe": observe}
        findings: list[dict[str, str]] = self.ask("POST", "/v1/doctor", body)["findings"]
        return findings

    # --- for the cockpit

    async def order(self, release: str, verb: str, **said: Any) -> Answer:
        """As `give`, off the event loop."""
        import asyncio

        return await asyncio.to_thread(lambda: self.give(release, verb, **said))

    async def releases(self) -> list[Summary]:
        """As `held`, off the event loop."""
        import asyncio

        return await asyncio.to_thread(self.held)

    async def events(self, release: str, after: int = 0) -> AsyncIterator[Said | Beat]:
        """Everything recorded after number `after`, then live, with a beat each second.

        Ends when the engine ends it; raises EngineGone when it is not there or falls silent, EngineRefused for an
        unknown release.
        """
        import httpx

        from engine.events import from_data

        asked = {"after": str(after), "where": line.where(self.address)} | ({"watching": "1"} if self.read_only else {})
        try:
            async with (
                self._open() as http,
                http.stream("GET", line.release_path(release, "/events"), params=asked) as answer,
            ):
                if answer.is_error:
                    await answer.aread()
                    line.answer_of(self.address, answer.status_code, answer.content)
                async for kind, seq, data in _messages(answer.aiter_lines()):
                    if kind == "beat":
                        yield _beat(data)
                    else:
                        yield Said(seq, from_data(kind, data.pop("at"), data))
        except httpx.HTTPError as error:
            raise EngineGone(f"the engine is gone: {str(error) or type(error).__name__}") from error

    def _open(self) -> httpx.AsyncClient:
        """What follows a stream at the address. Raises EngineGone."""
        import httpx

        limits = httpx.Timeout(BEATS_LIMIT_S)
        if not self.address.startswith("/"):
            from engine.line_tls import authorization, context, host_of

            host, port = host_of(self.address)
            host = f"[{host}]" if ":" in host else host
            transport = httpx.AsyncHTTPTransport(verify=context())
            return httpx.AsyncClient(
                base_url=f"https://{host}:{port}", transport=transport, timeout=limits, headers=authorization()
            )
        transport = httpx.AsyncHTTPTransport(uds=self.address)
        return httpx.AsyncClient(base_url="http://engine", transport=transport, timeout=limits)


def _present(said: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in said.items() if value is not None}


def _beat(data: Mapping[str, Any]) -> Beat:
    here = tuple(Here(one["who"], one["where"], one["since"], one["driving"]) for one in data.get("here", ()))
    return Beat(data["at"], tuple(data["notices"]), here)


def _summary(one: Mapping[str, Any]) -> Summary:
    return Summary(
        release=one["release"],
        service=one["service"],
        phase=one["phase"],
        stage=one["stage"],
        weight=one["weight"]["observed"],
        target=one["target"],
        paused_by=one["paused_by"],
        here=one.get("here", 0),
        holder=one.get("holder", ""),
    )


async def _messages(lines: AsyncIterator[str]) -> AsyncIterator[tuple[str, int, dict[str, Any]]]:
    """(event, id, data) of each message of a stream of server-sent events."""
    kind, seq, data = "message", 0, ""
    async for written in lines:
        name, _, value = written.partition(": ")
        if name == "event":
            kind = value
        elif name == "id":
            seq = int(value)
        elif name == "data":
            data = value
        elif not written and data:
            yield kind, seq, json.loads(data)
            kind, data = "message", ""


def ensure_engine(client: EngineClient) -> None:
    """Start the user's own engine, detached from this terminal, unless one answers. Another's is never started.

    Raises EngineGone: with the end of the log of one that can't start, and with what to do where another's is away.
    """
    if not client.is_own:
        client.ask("GET", "/v1/engine", limit_s=HERE_LIMIT_S)
        return
    if client.is_there():
        return
    client.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = client.folder / LOG_NAME
    process = _start_engine(client.folder, log)
    _started.append(process)
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline:
        if client.is_there():
            return
        if process.poll() == REFUSED:
            deadline = min(deadline, time.monotonic() + OTHER_LIMIT_S)
        elif process.poll() is not None:
            break
        time.sleep(0.02)
    end = log.read_bytes()[-1500:].decode(errors="replace").strip()
    raise EngineGone(f"the engine could not be started; the end of {log}:\n{end}")


def _start_engine(folder: Path, log: Path) -> subprocess.Popen[bytes]:
    import subprocess
    import sys

    with log.open("ab") as output:
        log.chmod(0o600)
        # -P: a folder called cli where this runs must not be taken for the package.
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "cli.main", "serve", "--unsupervised"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd="/",
            env={**_own_environment(), "LANESHIFT_HOME": str(folder)},
        )


def _own_environment() -> dict[str, str]:
    """Ours, without what is said to us alone: which engine we talk to, and to which service manager."""
    foreign = ("LANESHIFT_ENGINE", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
    return {name: value for name, value in os.environ.items() if name not in foreign}
