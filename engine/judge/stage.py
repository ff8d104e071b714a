"""What one metric of events showed in a stage: is it past its line, is that chance, is stable past it too?"""

from __future__ import annotations

from engine.judge.alert import Alert
from engine.judge.binomial import upper_tail
from engine.judge.lines import Lines
from engine.judge.metric import Sample
from engine.judge.tally import Tally

RECENT_LOOKS = 6  # looks that stand for "now"
QUIET_LOOKS = 3  # scrapes in a row without an event on either side until that is called no data
SURELY = 1e-3  # so many bad events of stable are past the line and not beside it


class StageView:
    """Counts of this stage, the latest looks, and the alert."""

    KEPT = ("alert", "canary_value", "quiet", "recent", "stable_value", "tally", "unread_s")
    __slots__ = KEPT

    def __init__(self) -> None:
        self.unread_s = 0.0
        self.quiet = 0
        self.enter_stage()

    def enter_stage(self) -> None:
        """A new stage counts anew; how long data have been missing goes on."""
        self.tally = Tally()
        self.alert = Alert()
        self.recent: list[list[float]] = []
        self.canary_value: float | None = None
        self.stable_value: float | None = None

    def look(self, sample: Sample, *, unread: bool) -> None:
        """A scrape; `unread` when a side that is needed was not read. What the other had is counted: it comes once."""
        canary, stable = sample.canary, sample.stable
        quiet = not (canary and canary.total) and not (stable and stable.total)
        self.quiet = self.quiet + 1 if quiet and not unread else 0
        self.unread_s = self.unread_s + sample.seconds if quiet or unread else 0.0
        if not unread:
            self.canary_value = canary.value if canary else None
            self.stable_value = stable.value if stable else None
        self.tally.add(canary, stable, sample.seconds)
        latest = Tally()
        latest.add(canary, stable, sample.seconds)
        self.recent = [*self.recent, [latest.n_c, latest.x_c, latest.n_s, latest.x_s]][-RECENT_LOOKS:]

    def ring(self, lines: Lines, usual: float, phi: float, *, suspected: bool) -> None:
        """The alert, over the stage and over the latest looks: past a line, and improbable at stable's own rate.

        Stable's rate is the higher of `usual` and what it shows in the same looks; counts are divided by phi, for a
        cluster of errors is one accident. Looking at every scrape finds improbable looks, so it rings only when the
        sequential evidence, which may be looked at as often, has `suspected` too.
        """
        views = [self.now(), (self.tally.n_c, self.tally.x_c, self.tally.n_s, self.tally.x_s)]
        past = [view for view in views if is_past(lines, *view)]
        chances = [
            upper_tail(x_c / phi, n_c / phi, max(usual, x_s / n_s if n_s else 0.0)) for n_c, x_c, n_s, x_s in past
        ]
        self.alert.look(past=bool(past), chance=min(chances, default=1.0) if suspected else 1.0)

    def now(self) -> tuple[float, float, float, float]:
        """n_c, x_c, n_s, x_s over the latest looks."""
        n_c, x_c, n_s, x_s = (sum(column) for column in zip(*self.recent, strict=True)) if self.recent else (0.0,) * 4
        return n_c, x_c, n_s, x_s

    def incident_on_both(self, lines: Lines) -> bool:
        """Are both sides past the absolute line, over the stage or just now, and stable surely so?"""
        line = lines.share
        if line is None:
            return False
        whole = (self.tally.n_c, self.tally.x_c, self.tally.n_s, self.tally.x_s)
        return any(
            x_c > line * n_c and upper_tail(x_s, n_s, line) < SURELY for n_c, x_c, n_s, x_s in (self.now(), whole)
        )


def is_past(lines: Lines, n_c: float, x_c: float, n_s: float, x_s: float) -> bool:
    """Is canary's observed share of bad events past the absolute line or, with a control, the relative one?"""
    if not n_c:
        return False
    against = lines.against_stable(x_s / n_s) if n_s else None
    return any(line is not None and x_c > line * n_c for line in (lines.share, against))
