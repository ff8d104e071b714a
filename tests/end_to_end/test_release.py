"""A release from `laneshift start` to its end: what laneshift says, what Envoy counts, what those who ask see."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from engine import events as ev
from engine.events import Event
from tests.end_to_end.plans import LINES, NAME, plan
from tests.end_to_end.steps import events_of
from tests.support.engine_bench import stages_entered
from tests.support.kube_shop import CANARY, STABLE
from tests.support.shop_behind_envoy import NEW, OLD, Site

pytestmark = pytest.mark.real

STAGES = ((5, 6), (25, 6), (50, 6), (100, 6))
LOOSE = LINES | {"error_rate": "> 10%", "latency_p95": "> 1s", "checkout_success": "< 60%"}
SETTLE_S = 0.5  # after a shift was confirmed: requests that were on their way are answered
LAG_S = 3.0  # what is read so late in a stage was scraped in it, and so was the scrape before it
SCRAPE_S = 1.5  # each side is scraped in a rhythm of its own, a second apart


@dataclass(frozen=True)
class Served:
    """Requests of the canary and of both sides."""

    canary: float
    both: float

    @property
    def share(self) -> float:
        return self.canary / self.both

    def agrees_with(self, share: float, edges: float = 0.0) -> bool:
        """A difference that may be chance: four standard deviations of a share. `edges` is by how much of its time the
        two sides may have been counted over different times."""
        spread = share * (1 - share)
        return abs(self.share - share) <= 4 * math.sqrt(max(spread, 0.002) / self.both) + edges * spread


def envoys(samples: list[tuple[float, dict[str, float]]], first: float, last: float) -> Served:
    """What Envoy counted between two times."""
    inside = [counted for at, counted in samples if first <= at <= last]
    canary, stable = (inside[-1][side] - inside[0][side] for side in (CANARY, STABLE))
    return Served(canary, canary + stable)


def laneshifts(history: list[Event], first: float, last: float) -> Served:
    """What laneshift recorded that it had read between two times."""
    ticks = [event for event in history if isinstance(event, ev.Ticked) and first < event.at <= last]
    read = [sample for tick in ticks for sample in tick.samples if sample.metric == "error_rate"]
    canary = sum(sample.canary.total for sample in read if sample.canary)
    return Served(canary, canary + sum(sample.stable.total for sample in read if sample.stable))


def traffics(site: Site, first: float, last: float) -> Served:
    """What those who asked were answered between two times, in whole seconds."""
    inside = [answers for second, answers in site.traffic()["seconds"] if first <= second and second + 1 <= last]
    canary, stable = (sum(answers.get(version, 0) for answers in inside) for version in (NEW, OLD))
    return Served(canary, canary + stable)


def until_promoted(site: Site) -> list[tuple[float, dict[str, float]]]:
    """Envoy's own counters, all the while."""
    samples = []
    deadline = time.monotonic() + 90
    while (seen := site.look())["phase"] not in ("promoted", "rolled_back"):
        assert time.monotonic() < deadline, seen["waits_for"]
        samples.append((time.time(), site.sent_by_envoy()))
        time.sleep(0.1)
    assert seen["phase"] == "promoted", seen["ending"]
    return samples


def test_a_healthy_release_is_promoted_and_all_three_say_the_same_of_its_traffic(site: Site, tmp_path: Path) -> None:
    file = tmp_path / NAME
    file.write_text(plan(site, stages=STAGES, lines=LOOSE))
    moved_before = len(site.gateway.moved)
    started = site.run("start", str(file))
    assert started.returncode == 0, started.stderr
    site.release = started.stdout.strip()
    samples = until_promoted(site)
    history = site.history()
    assert stages_entered(history) == [0, 1, 2, 3]
    weights = [weight for weight, _ in STAGES]
    assert [moved["canary"] for _, moved in site.gateway.moved[moved_before:]] == weights
    in_place = [event.at + SETTLE_S for event in history if isinstance(event, ev.ShiftConfirmed)]
    moved_on = [event.at for event in history if isinstance(event, ev.StageEntered | ev.FinishStarted)][1:]
    for weight, first, last in zip(weights, in_place, moved_on, strict=True):
        assert envoys(samples, first, last).agrees_with(weight / 100)
        assert traffics(site, first, last).agrees_with(weight / 100)
        said, edges = laneshifts(history, first + LAG_S, last), SCRAPE_S / (last - first - LAG_S)
        assert said.agrees_with(traffics(site, first, last).share, edges)


def test_what_laneshift_counts_in_all_is_what_was_asked_in_all(site: Site, tmp_path: Path) -> None:
    """Not one request lost or counted twice over many scrapes, but for those between a scrape and a look."""
    file = tmp_path / NAME
    file.write_text(plan(site, stages=((50, 6), (100, 2))))
    site.release = site.run("start", str(file)).stdout.strip()
    site.ends("promoted")
    ticks = [event.at for event in events_of(site, ev.Ticked) if event.samples]
    first, last = ticks[1], ticks[-1]
    assert max(later - earlier for earlier, later in pairwise(ticks)) < 5
    said, seen = laneshifts(site.history(), first, last), traffics(site, first, last)
    a_second = seen.both / (last - first)
    assert abs(said.both - seen.both) < 2.5 * a_second
