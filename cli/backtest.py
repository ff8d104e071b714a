"""`laneshift backtest PLAN`: would these thresholds have fired on past data in which nothing was released?"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.durations import seconds
from cli.ending import Exit, fail, show

if TYPE_CHECKING:
    from engine.past.recorded import Recorded
    from engine.past.replays import Replays, Results
    from engine.plan.model import Plan
    from engine.plan.selector import Subject
    from engine.routers import Router

DEFAULT_LIMIT_S = 20.0
DEFAULT_SINCE_S = 30 * 86400.0
READING_SHARE = 0.3  # of the time
TELL_EVERY_S = 0.5


@click.command()
@click.argument("plan", type=click.Path(path_type=Path))
@click.option("--since", callback=seconds, metavar="TIME", help="how far back to look (30d)")
@click.option("--releases", type=click.IntRange(1, 100_000), default=200, help="healthy releases to replay (200)")
@click.option("--limit", callback=seconds, metavar="TIME", help="replay fewer when it would take longer (20s)")
@click.option("--version", default="", metavar="V", help="whose past to read; else what is stable now")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def backtest(plan: Path, since: float | None, releases: int, limit: float | None, version: str, as_json: bool) -> None:
    """Replay releases of PLAN over what is recorded of stable: which lines would have rolled back a healthy one, which
    faults would have been caught and when, and is the first stage long enough at this traffic?

    Reads the source's own history where it keeps one, else the journal of this service's releases.
    """
    from cli.backtest_words import as_data, as_text
    from engine.past.recorded import RecordsError
    from engine.plan.model import read_plan
    from engine.plan.problem import PlanError

    stopwatch = _Stopwatch(limit or DEFAULT_LIMIT_S)
    try:
        valid = read_plan(plan)
        recorded = _recorded(valid, since or DEFAULT_SINCE_S, version, stopwatch)
        replays, results = _replayed(valid, recorded, releases, stopwatch)
    except (PlanError, RecordsError) as error:
        fail(Exit.BAD_INPUT, str(error))
    data = as_data(valid, recorded, replays, results, stopwatch.took())
    show(as_json, data, "\n".join(as_text(data)))


class _Stopwatch:
    """How long it took, and what is left of a limit in seconds."""

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self._begun = time.monotonic()

    def took(self) -> float:
        """Seconds so far."""
        return time.monotonic() - self._begun

    def left(self) -> float:
        """Seconds until the limit, 0 beyond it."""
        return max(0.0, self.limit_s - self.took())


def _recorded(plan: Plan, since_s: float, version: str, stopwatch: _Stopwatch) -> Recorded:
    from dataclasses import replace

    from engine.client import home
    from engine.past.recorded import RecordsError, from_journal, journal_path

    limit_s = READING_SHARE * stopwatch.limit_s
    found, problem = asyncio.run(_from_source(plan, since_s, version, limit_s))
    if found is not None:
        return found
    judged = [metric for metric in plan.judge_metrics() if metric.judged]
    try:
        from_there = from_journal(journal_path(home()), plan.service, judged, since=time.time() - since_s)
    except RecordsError as error:
        raise RecordsError(f"{error}; {problem}") from error
    return replace(from_there, remarks=(*from_there.remarks, problem))


async def _from_source(plan: Plan, since_s: float, version: str, limit_s: float) -> tuple[Recorded | None, str]:
    """What the source keeps, or None and why there is nothing of it. Raises RecordsError."""
    from engine.assembly import router_of
    from engine.client import home
    from engine.config import EngineConfigError
    from engine.past.recorded import RecordsError
    from engine.past.replays import PATIENCE
    from engine.past.source import from_source
    from engine.plan.selector import Subject
    from engine.routers import RouterError
    from engine.secrets import SecretMissingError, Secrets

    secrets = Secrets(home())
    stretch_s = plan.history + PATIENCE * plan.least_seconds
    try:
        stable = Subject(version) if version else await _stable_now(router_of(plan, secrets))
        if not stable.known:
            return None, "no version is stable now: --version V names one whose past the source may keep"
        found = await from_source(plan, secrets, stable=stable, since_s=since_s, stretch_s=stretch_s, limit_s=limit_s)
        nothing = f"the {plan.source.kind} source has no past of {stable.version}: a release learns from less than this"
        return found, "" if found is not None else nothing
    except (EngineConfigError, SecretMissingError) as error:
        raise RecordsError(str(error)) from error
    except RouterError as error:
        why = secrets.hide(str(error))
        return None, f"only the journal was read: {why}; --version V names whose past the source may keep"


async def _stable_now(router: Router) -> Subject:
    from engine.plan.selector import Subject

    try:
        seen = await router.observe()
        return Subject(seen.stable, seen.stable_build, seen.stable_workload)
    finally:
        await router.close()


def _replayed(plan: Plan, recorded: Recorded, releases: int, stopwatch: _Stopwatch) -> tuple[Replays, Results]:
    from engine.assembly import rules_of
    from engine.past.recorded import RecordsError
    from engine.past.replays import Replays, course_of

    try:
        replays = Replays(course_of(plan, recorded.metrics, rules_of(plan).interval_s), recorded)
    except RecordsError as error:
        raise RecordsError("\n  ".join((str(error), recorded.origin, *recorded.remarks))) from error
    time_there = max(stopwatch.left(), TELL_EVERY_S)
    begun = stopwatch.took()
    with _progress() as told:
        results = replays.run(releases, lambda: 1 - (stopwatch.took() - begun) / time_there, told)
    return replays, results


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """A line on a terminal's standard error that is written over, and gone at the end; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _said: None
        return
    last = 0.0

    def told(said: str) -> None:
        nonlocal last
        if time.monotonic() - last > TELL_EVERY_S:
            last = time.monotonic()
            sys.stderr.write(f"\r\x1b[K{said}")
            sys.stderr.flush()

    try:
        yield told
    finally:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
