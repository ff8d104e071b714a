"""`laneshift prune`: what the journal need not keep."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.durations import seconds
from cli.ending import Exit, fail, show
from engine import line
from engine.line import EngineGone

if TYPE_CHECKING:
    from engine.journal.records import Retention
    from engine.journal.store import Journal

PRUNING_LIMIT_S = 600.0  # a large journal takes a while
AT_REST_S = 3600.0  # so long after its end a release is left alone
ENDS = ("RolledBack", "Cancelled", "OldSideReleased")
BEGINS_AGAIN = "RollbackStarted"


@click.command()
@click.option(
    "--older-than", metavar="TIME", callback=seconds, help="forget releases that ended longer ago, such as 90d"
)
@click.option(
    "--ticks-older-than",
    metavar="TIME",
    callback=seconds,
    help="forget single looks of ended releases; their minutes stay",
)
@click.option("--dry-run", is_flag=True, help="only say what would be forgotten")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def prune(older_than: float | None, ticks_older_than: float | None, dry_run: bool, as_json: bool) -> None:
    """Forget releases that ended long ago. Without a time: what `retention` in engine.yaml does not keep.

    A release that runs is never touched, and the newest of each service stays. With no engine the journal itself is
    opened.
    """
    times = {"releases": older_than, "ticks": ticks_older_than}
    said = {name: value for name, value in times.items() if value is not None}
    body = {"dry_run": dry_run, **{name: f"{value:.0f}s" for name, value in said.items()}}
    place = line.address()
    try:
        done = line.ask(place, "POST", "/v1/prune", body, PRUNING_LIMIT_S)
    except EngineGone:
        if place != line.own_address():
            raise
        done = _without_engine(Path(line.state_folder()), said, dry_run)
    show(as_json, done, _words(done, dry_run))


def _words(done: dict[str, Any], dry_run: bool) -> str:
    releases = done["releases"]
    would = "would forget" if dry_run else "forgot"
    named = f": {', '.join(releases)}" if releases else ""
    count, ticks = _counted(len(releases), "release"), _counted(done["ticks"], "tick")
    return f"{would} {count}{named}; {ticks} of others; about {done['freed'] / 1e6:.1f} MB"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _without_engine(home: Path, said: dict[str, float], dry_run: bool) -> dict[str, Any]:
    from engine.config import EngineConfigError, config_path, read_engine_config
    from engine.journal.opening import open_store
    from engine.journal.records import JournalError, JournalLocked
    from engine.secrets import SecretMissingError, Secrets

    try:
        config = read_engine_config(config_path(home))
        store = config.store_url(Secrets(home))
        if not store and not (home / "journal.db").exists():
            fail(Exit.BAD_INPUT, f"there is no journal in {home}")
        rules = _rules(said, config.retention)
        with open_store(store, home) as journal:
            now = time.time()
            done = journal.prune(rules, now, _at_rest(journal, now), dry_run=dry_run)
    except JournalLocked as error:
        fail(Exit.REFUSED, str(error))
    except (JournalError, EngineConfigError, SecretMissingError) as error:
        fail(Exit.NO_ENGINE, str(error))
    return {"releases": list(done.releases), "ticks": done.ticks, "freed": done.freed, "dry_run": dry_run}


def _rules(said: dict[str, float], kept: Any) -> Retention:
    from engine.journal.records import Retention

    if said:
        return Retention(ticks_s=said.get("ticks"), releases_s=said.get("releases"))
    if kept is None or not (kept.ticks or kept.releases or kept.size):
        fail(Exit.BAD_INPUT, "nothing says what is kept: --older-than 90d, or `retention` in engine.yaml")
    return Retention(ticks_s=kept.ticks, releases_s=kept.releases, size_bytes=kept.size)


def _at_rest(journal: Journal, now: float) -> list[str]:
    """Those that ended a while ago and that nobody holds, by the kinds of their events alone."""
    held = {lease.release for lease in journal.leases() if lease.left_s > 0}
    found = []
    for row in journal.releases():
        last = journal.read(row.id, types=(*ENDS, BEGINS_AGAIN))[-1:]
        if row.id not in held and last and last[0].type in ENDS and last[0].at < now - AT_REST_S:
            found.append(row.id)
    return found
