"""What is recorded of stable: scrapes in which nothing new served there, for a backtest and for a plan's advice.

Out of the journal it is stable's side of the ticks of the service's releases. At 50% that is half of the traffic, at
100% without a holdback nothing, so those ticks are left out: a backtest on them is one at less traffic than the service
has. `engine.past.source` reads the same out of a source that keeps a history.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from engine.codec import decode
from engine.judge import Metric, Sample
from engine.judge.backtest import Scrape

if TYPE_CHECKING:
    from engine.journal.store import Journal

MOST_SCRAPES = 20_000  # what a backtest reads; it replays a few hundred hours at most
NOTABLE = 0.1  # of all requests
FEWEST = 0.9  # a metric that fewer of the scrapes show is left out: a release would wait for it for ever


class RecordsError(Exception):
    """Nothing recorded can be read; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """Scrapes of stable, oldest first, one sample for each of `metrics`; `origin` says where they are from, `remarks`
    what was left out and why.
    """

    scrapes: tuple[Scrape, ...]
    metrics: tuple[Metric, ...]
    origin: str
    remarks: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """How much time the scrapes cover."""
        return sum(map(seconds_of, self.scrapes))

    def rate(self, metric: str) -> float:
        """The median of this metric's events per second; 0.0 without any."""
        stable = self._of(metric)
        return median([one.stable.total / one.seconds for one in stable if one.stable and one.seconds] or [0.0])

    def counts(self, metric: str) -> tuple[float, float]:
        """All and bad events of this metric."""
        sides = [one.stable for one in self._of(metric) if one.stable]
        return sum(side.total for side in sides), sum(side.bad for side in sides)

    def _of(self, metric: str) -> list[Sample]:
        return [one for scrape in self.scrapes for one in scrape if one.metric == metric]


def seconds_of(scrape: Scrape) -> float:
    """How much time a scrape covers: its longest sample."""
    return max((sample.seconds for sample in scrape), default=0.0)


def journal_path(home: Path) -> Path:
    """The journal of this state folder, which need not be there."""
    return home / "journal.db"


def from_journal(
    path: Path,
    service: str,
    metrics: Sequence[Metric],
    *,
    since: float = 0.0,
    whole: bool = False,
    most: int = MOST_SCRAPES,
) -> Recorded:
    """Stable's side of the ticks of `service`'s releases from `since` (seconds since 1970) on, of these metrics; of the
    newest releases, no more than it takes for `most` ticks.

    With `whole` the canary's counts are added: the traffic of the service, and no past of stable. Raises RecordsError.
    """
    if not path.exists():
        raise RecordsError(f"there is no journal at {path}")
    from engine.journal.records import JournalError
    from engine.journal.store import Journal  # 200 ms of SQLAlchemy

    try:
        with Journal.open(path, readonly=True) as journal:
            found = list(_releases(journal, service, metrics, since, most))
    except JournalError as error:
        raise RecordsError(str(error)) from error
    origin = f"the journal: {len(found)} release{'' if len(found) == 1 else 's'} of {service}"
    ticks = [tick for release in reversed(found) for tick in release]
    if whole:
        return shown(metrics, [tuple(map(_in_all, tick)) for tick in ticks], origin)
    mine = shown(metrics, [tuple(replace(one, canary=None) for one in tick) for tick in ticks], origin)
    return replace(mine, remarks=(*mine.remarks, *_missing(ticks)))


def _releases(
    journal: Journal, service: str, metrics: Sequence[Metric], since: float, most: int
) -> Iterator[list[tuple[Sample, ...]]]:
    """The ticks of each release in which stable served, the newest release first."""
    read = 0
    for release in [row.id for row in reversed(journal.releases()) if row.service == service]:
        ticks = [tick for tick in _ticks(journal, release, metrics, since) if _has_stable(tick, metrics)]
        read += len(ticks)
        if ticks:
            yield ticks
        if read >= most:
            return


def _missing(ticks: Iterable[Scrape]) -> list[str]:
    """How much of the traffic was the canary's, when that is worth a word."""
    sides = [(one.stable, one.canary) for tick in ticks for one in tick if one.stable and one.canary]
    stable, canary = sum(mine.total for mine, _ in sides), sum(other.total for _, other in sides)
    if canary <= NOTABLE * (stable + canary):
        return []
    share = f"{canary / (stable + canary):.0%}"
    return [f"{share} of the requests were a canary's: with all the traffic a release proves sooner than a replay here"]


def shown(metrics: Sequence[Metric], scrapes: Iterable[Scrape], origin: str, remarks: Sequence[str] = ()) -> Recorded:
    """The scrapes with the metrics that they show; those that fewer than nine in ten show are left out, and said."""
    useful = [scrape for scrape in scrapes if _has_stable(scrape, metrics)][-MOST_SCRAPES:]
    kept, said = [], list(remarks)
    for metric in metrics:
        seen = sum(any(one.metric == metric.name and one.stable for one in scrape) for scrape in useful)
        if seen >= FEWEST * len(useful):
            kept.append(metric)
        else:
            said.append(f"{metric.name} is left out: {seen:,} of {len(useful):,} scrapes show it as the plan counts it")
    names = {metric.name for metric in kept}
    narrowed = tuple(tuple(one for one in scrape if one.metric in names) for scrape in useful)
    return Recorded(narrowed, tuple(kept), origin, tuple(said))


def _has_stable(scrape: Scrape, metrics: Sequence[Metric]) -> bool:
    """Whether stable served here. Gauges alone say so only in a plan that has nothing else."""
    counting = {metric.name for metric in metrics if metric.kind != "gauge"} or {metric.name for metric in metrics}
    return any(one.metric in counting and one.stable is not None and one.stable.total > 0 for one in scrape)


def _ticks(journal: Journal, release: str, metrics: Sequence[Metric], since: float) -> Iterator[tuple[Sample, ...]]:
    created = journal.read(release, types=["Created"], limit=1)
    if not created:
        return
    then = [decode(Metric, one) for one in created[0].data["rules"]["metrics"]]
    names = {metric.name for metric in metrics if any(_counts_alike(metric, other) for other in then)}
    for record in journal.read(release, types=["Ticked"]):
        if record.at >= since:
            yield tuple(decode(Sample, one) for one in record.data["samples"] if one["metric"] in names)


def _counts_alike(metric: Metric, other: Metric) -> bool:
    """Whether counts of `other` mean the same for `metric`: slow requests were counted at the line of then."""
    return (metric.name, metric.kind, metric.cut) == (other.name, other.kind, other.cut)


def _in_all(sample: Sample) -> Sample:
    """Both versions' events as one side's."""
    stable, canary = sample.stable, sample.canary
    if stable is None or canary is None:
        return replace(sample, canary=None)
    both = replace(
        stable,
        total=stable.total + canary.total,
        bad=stable.bad + canary.bad,
        bad_low=stable.bad_low + canary.bad_low,
    )
    return replace(sample, stable=both, canary=None)


def usual_shares(recorded: Recorded) -> Mapping[str, float]:
    """Stable's share of bad events per metric of events; metrics without an event are left out."""
    counts = {metric.name: recorded.counts(metric.name) for metric in recorded.metrics if metric.kind != "gauge"}
    return {name: bad / total for name, (total, bad) in counts.items() if total}
