"""The alert: what is observed is past its line and hardly chance. Prepare to roll back; nothing is proven yet."""

from __future__ import annotations

HARDLY_CHANCE = 1e-4  # "past the line" alone would ring in nearly every healthy release
SUSPECTED_FROM = 20.0  # evidence of harm; less than this is seen in one healthy release of many
CLEARS_AFTER = 3  # looks back inside


class Alert:
    """Rings at most once per metric and stage, and clears by itself."""

    KEPT = ("looks_inside", "rang", "ringing")
    __slots__ = KEPT

    def __init__(self) -> None:
        self.ringing = self.rang = False
        self.looks_inside = 0

    def look(self, *, past: bool, chance: float) -> None:
        """One scrape: is the observed value past its line, and how likely are so many bad events by chance?"""
        if past:
            self.looks_inside = 0
            if chance < HARDLY_CHANCE and not self.rang:
                self.ringing = self.rang = True
            return
        self.looks_inside += 1
        if self.looks_inside >= CLEARS_AFTER:
            self.ringing = False
