"""A Canary that is only watched: with any analysis, whoever answers its gates. Pure.

The marks of a release are not looked at, for there may be none, or another's. What Flagger is doing is a remark here:
the weight of its route is in effect while it goes on by itself.
"""

from __future__ import annotations

from engine.routers.flagger_reading import PROMOTING, Canary, condition_of


class WatchedCanary(Canary):
    """One reading of it."""

    @property
    def promoted(self) -> bool:
        """Never by laneshift: `done` says what Flagger has done."""
        return False

    @property
    def opened(self) -> tuple[str, str]:
        """Nothing is approved from here."""
        return "", ""

    @property
    def done(self) -> bool:
        """Has Flagger promoted the last revision that it took up?"""
        return self.phase == "Succeeded"

    @property
    def weight(self) -> float:
        """Percent of the traffic on the new version: at the end the primary has it, and everything."""
        if self.phase == "Finalising":
            return 100.0
        if self.phase in PROMOTING and self.routed is not None:
            return self.routed
        return super().weight

    @property
    def hand(self) -> str:
        """Who moved the traffic, and why it went back."""
        return f"Flagger ({condition_of(self)})" if self.phase == "Failed" and condition_of(self) else "Flagger"
