"""A gauge: three readings in a row past its line are a failure; a spike is not."""

from __future__ import annotations

from engine.judge.lines import past_line, unusable
from engine.judge.metric import Counts, Metric, Outcome, Sample, Verdict, show

IN_A_ROW = 3


class GaugeJudge:
    """Judges one gauge over one stage. Readings of a warmup are not judged."""

    __slots__ = ("canary_past", "clear", "metric", "readings", "stable_past", "unread_s")

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.canary_past = self.stable_past = self.clear = self.readings = 0
        self.unread_s = 0.0

    def enter_stage(self) -> None:
        """Forget the readings of the stage before."""
        self.canary_past = self.stable_past = self.clear = self.readings = 0

    def look(self, sample: Sample, *, judged: bool) -> Verdict:
        """One reading of each side."""
        problem = sample.problem or self._unusable(sample)
        if problem:
            return self._verdict(Outcome.ERROR, f"{self.metric.name} can't be judged: {problem}", sample)
        if sample.canary is None or sample.canary.value is None:
            self.unread_s += sample.seconds
            return self._verdict(Outcome.NO_DATA, self._blind(sample), sample)
        self.unread_s = 0.0
        if judged:
            self._count(sample.canary.value, sample.stable.value if sample.stable else None)
        return self._decide(sample)

    def state(self) -> dict[str, float]:
        """JSON-serialisable; `restore` reads it."""
        return {name: getattr(self, name) for name in ("canary_past", "stable_past", "clear", "readings", "unread_s")}

    def restore(self, state: dict[str, float]) -> None:
        """Go on where `state` was taken."""
        for name, value in state.items():
            setattr(self, name, value)

    def _unusable(self, sample: Sample) -> str:
        sides = (side for side in (sample.canary, sample.stable) if side is not None)
        return next((why for why in (unusable(side, gauge=True) for side in sides) if why), "")

    def _blind(self, sample: Sample) -> str:
        both = sample.stable is None or sample.stable.value is None
        return f"no reading of {self.metric.name} on {'either side' if both else 'canary'} for {self.unread_s:.0f} s"

    def _count(self, canary: float, stable: float | None) -> None:
        self.readings += 1
        past = past_line(self.metric, canary, stable)
        self.canary_past = self.canary_past + 1 if past else 0
        self.clear = 0 if past else self.clear + 1
        stable_is_past = stable is not None and past_line(self.metric, stable, None)
        self.stable_past = self.stable_past + 1 if stable_is_past else 0

    def _decide(self, sample: Sample) -> Verdict:
        value = sample.canary.value if sample.canary else None
        seen = f"{self.metric.name} {show(value, 'gauge')} against {self._line()}"
        if self.canary_past and self.stable_past:
            return self._verdict(Outcome.INCONCLUSIVE, f"{seen}, stable past it too: incident on both versions", sample)
        if self.canary_past >= IN_A_ROW:
            return self._verdict(Outcome.FAIL, f"{seen}: past it for {self.canary_past} readings in a row", sample)
        if self.canary_past:
            return self._verdict(Outcome.INCONCLUSIVE, f"{seen}: past it, {self.canary_past} of {IN_A_ROW}", sample)
        if self.clear < IN_A_ROW:
            return self._verdict(Outcome.INCONCLUSIVE, f"{seen}: {self.clear} of {IN_A_ROW} readings inside", sample)
        return self._verdict(Outcome.PASS, f"{seen}: inside for {self.clear} readings", sample)

    def _line(self) -> str:
        lines = (f"{line.limit:g}x stable" if line.relative else f"{line.limit:g}" for line in self.metric.thresholds)
        return f"a line of {' and '.join(lines)}" if self.metric.thresholds else "no line"

    def _verdict(self, outcome: Outcome, reason: str, sample: Sample) -> Verdict:
        return Verdict(
            self.metric.name,
            outcome,
            reason,
            alert=self.canary_past >= IN_A_ROW,
            canary=sample.canary or Counts(),
            stable=sample.stable or Counts(),
            needed=min(1.0, self.clear / IN_A_ROW),
        )
