"""The line to an API server: opened once, kept warm, renewed before it ends, used again after it was lost.

What is kept ready so that a roll back waits for nothing: idle connections (asked for the version every 20 s; a pool
that falls silent is left for a new one), and credentials that are renewed before they end, in the background. A
request that is answered 401 all the same renews them and is sent once more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from engine.kube.attempts import Attempts
from engine.kube.errors import RETRIED, Asked, KubeError, LineLost, no_answer, refusal

if TYPE_CHECKING:
    from engine.kube.credentials import Credentials
    from engine.kube.session import Answer, Session

WARM_EACH_S: Final = 20.0
WARM_CONNECTIONS: Final = 2
RENEW_BEFORE_S: Final = 300.0
GRACE_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Request:
    """What to send; `verb` and `what` are its words in an error: `patch`, `httproute checkout in namespace shop`."""

    method: str
    path: str
    verb: str
    what: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    content_type: str = "application/json"

    def asked(self, credentials: Credentials) -> Asked:
        """The same for a sentence."""
        return Asked(self.verb, self.what, credentials.server, credentials.who)

    def repeatable(self, status: int) -> bool:
        """May it be sent again after this answer? A POST only where nothing was done."""
        return status in RETRIED and (self.method != "POST" or status == 429)


VERSION: Final = Request("GET", "/version", "read", "the version of the cluster")


class Connection:
    """One user's line to one API server. Every method raises KubeError."""

    def __init__(self, kubeconfig: Path | None, context: str | None) -> None:
        self._kubeconfig, self._context = kubeconfig, context
        self._session: Session | None = None
        self._read_at = 0.0
        self._renewal: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._staying = False
        self.clock_skew: float | None = None

    @property
    def credentials(self) -> Credentials | None:
        """Who we are there, since the first request."""
        return self._session.credentials if self._session else None

    async def warm(self, time_limit: float) -> None:
        """Have idle connections ready."""
        await asyncio.gather(*(self.send(VERSION, time_limit) for _ in range(WARM_CONNECTIONS)))

    async def send(self, request: Request, time_limit: float) -> dict[str, Any]:
        """The object that is answered. Sent again, with pauses, while that may help and there is time."""
        attempts = Attempts(time_limit)
        renewed = False
        while True:
            session = self._session or await self._within(attempts, self._opened)
            answer = await self._attempt(session, request, attempts)
            if answer is not None and answer.status < 300:
                self._note_clock(answer)
                return _object(answer)
            if answer is not None and answer.status == 401 and not renewed:
                renewed = True
                await self._within(attempts, self.renew)
            elif answer is not None:
                await self._refused(session, request, answer, attempts)
            if attempts.left <= 0:
                raise no_answer(request.asked(session.credentials), time_limit, attempts.last)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[AsyncIterator[bytes]]:
        """The lines of an answer that goes on, such as a watch."""
        session = await self._opened()
        asked = request.asked(session.credentials)
        try:
            async with session.lines(request) as (answer, lines):
                if answer.status != 200:
                    raise refusal(asked, answer.status, answer.body)
                yield lines
        except LineLost as lost:
            raise KubeError(f"could not go on to {asked.verb} {asked.what}: {asked.server}: {lost}") from None

    async def renew(self) -> None:
        """Read the credentials anew, once at a time; connections stay where only the token has changed."""
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._connect())
            self._renewal.add_done_callback(_heard)
        await asyncio.shield(self._renewal)

    async def close(self) -> None:
        """Let go of everything."""
        tasks = [*self._tasks, *([self._renewal] if self._renewal else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _attempt(self, session: Session, request: Request, attempts: Attempts) -> Answer | None:
        """None: nothing was answered, and the pause before the next attempt is over."""
        try:
            return await session.send(request, attempts.limit)
        except LineLost as lost:
            if lost.silent:
                self._leave(session)
            if request.method == "POST":
                raise no_answer(request.asked(session.credentials), attempts.seconds, str(lost)) from None
            await attempts.pause(str(lost))
            return None

    async def _refused(self, session: Session, request: Request, answer: Answer, attempts: Attempts) -> None:
        """Returns when the pause before another attempt is over."""
        error = refusal(request.asked(session.credentials), answer.status, answer.body)
        if not request.repeatable(answer.status):
            raise error
        asked_for = answer.headers.get("Retry-After", "")
        await attempts.pause(str(error), float(asked_for) if asked_for.isdigit() else 0.0)

    async def _within(self, attempts: Attempts, doing: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """A login may take longer than a request: it goes on for the next one."""
        try:
            async with asyncio.timeout(max(0.0, attempts.left)):
                return await doing()
        except TimeoutError:
            raise KubeError(f"the credentials of the cluster were not read within {attempts.seconds:g} s") from None

    async def _opened(self) -> Session:
        if self._session is None:
            await self.renew()
            if not self._staying:
                self._staying = True
                self._keep(self._stay_ready())
        assert self._session is not None
        return self._session

    async def _connect(self) -> None:
        await asyncio.to_thread(import_module, "engine.kube.session")  # some 300 ms that would stop every release
        from engine.kube.credentials import found
        from engine.kube.session import Session

        credentials = await found(self._kubeconfig, self._context)
        self._read_at = time.time()
        if self._session is not None and self._session.credentials.key == credentials.key:
            self._session.credentials = credentials
            return
        before, self._session = self._session, Session(credentials)
        if before is not None:
            self._keep(_retire(before))

    def _leave(self, session: Session) -> None:
        """New requests go over new connections; those on the way may still be answered."""
        if self._session is session:
            from engine.kube.session import Session

            self._session = Session(session.credentials)
            self._keep(_retire(session))

    def _keep(self, doing: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(doing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _stay_ready(self) -> None:
        """What fails here is met, and told, by the next request."""
        while True:
            await asyncio.sleep(WARM_EACH_S)
            with suppress(KubeError):
                if self._renewal_due():
                    await self.renew()
            with suppress(KubeError):
                await self.warm(WARM_EACH_S / 2)

    def _renewal_due(self) -> bool:
        """Five minutes before they end; credentials of minutes at half of their life."""
        ends = self._session.credentials.expires_at if self._session else None
        if ends is None:
            return False
        return time.time() > ends - min(RENEW_BEFORE_S, (ends - self._read_at) / 2)

    def _note_clock(self, answer: Answer) -> None:
        with suppress(KeyError, ValueError, TypeError):
            self.clock_skew = parsedate_to_datetime(answer.headers["Date"]).timestamp() - time.time()


def _heard(renewal: asyncio.Task[None]) -> None:
    """Its failure was told to those who waited; nobody may have been patient enough."""
    if not renewal.cancelled():
        renewal.exception()


async def _retire(session: Session) -> None:
    try:
        await asyncio.sleep(GRACE_S)
    finally:
        await session.close()


def _object(answer: Answer) -> dict[str, Any]:
    from engine.kube.session import decoded

    try:
        return decoded(answer.body)
    except ValueError:
        said = answer.body[:200].decode(errors="replace")
        raise KubeError(f"an answer that is no object: is this a Kubernetes API server? It said: {said}") from None
