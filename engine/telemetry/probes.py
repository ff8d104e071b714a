"""Is the engine healthy, is it ready? Healthy: nothing that only a new process would mend. Ready: rely on it."""

from __future__ import annotations

from engine.telemetry.vital import Shown

SILENT_S = 10.0  # a journal that answers nothing for longer takes nothing


def healthy(host: Shown) -> tuple[bool, str]:
    """Does the engine's loop run (else nothing is answered) and the journal's thread live? With the reason in words."""
    if not host.vital().journal_lives:
        return False, "the thread that writes the journal has ended: only a new engine writes again"
    return True, "the engine answers, and the journal's thread lives"


def ready(host: Shown) -> tuple[bool, str]:
    """Has it taken up its releases, and does the journal take records? With the reason in words."""
    now = host.vital()
    if not now.journal_lives:
        return False, "the thread that writes the journal has ended"
    if not now.resumed:
        return False, "the releases are being taken up"
    if now.store_away:
        return False, f"the store does not answer: {now.store_away}"
    if now.trouble or now.waiting:
        return False, f"the journal takes no records: {now.trouble or f'{now.waiting} wait beside it'}"
    silent = max(now.journal_silent_s, now.behind_s)
    if silent > SILENT_S:
        return False, f"the journal has answered nothing for {silent:.0f} s"
    return True, f"{len(now.states)} releases in hand, the journal takes records"
