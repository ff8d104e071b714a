"""Healthy and ready: each answer with its reason."""

from __future__ import annotations

from typing import Any

import pytest

from engine.telemetry import Vital, healthy, ready
from tests.engine.telemetry.shown import ShownHost


def test_all_is_well() -> None:
    host = ShownHost()
    assert healthy(host) == (True, "the engine answers, and the journal's thread lives")
    assert ready(host) == (True, "0 releases in hand, the journal takes records")


@pytest.mark.parametrize(
    ("vital", "why"),
    [
        ({"resumed": False}, "are being taken up"),
        ({"trouble": "the disk is full"}, "the disk is full"),
        ({"waiting": 3}, "3 wait beside it"),
        ({"store_away": "connection refused"}, "the store does not answer: connection refused"),
        ({"journal_silent_s": 12.0}, "answered nothing for 12 s"),
        ({"behind_s": 12.0}, "answered nothing for 12 s"),
    ],
)
def test_an_engine_that_is_not_ready_says_why_and_is_not_restarted_for_it(vital: dict[str, Any], why: str) -> None:
    host = ShownHost(Vital([], **vital))
    is_ready, said = ready(host)
    assert not is_ready
    assert why in said
    assert healthy(host)[0]


def test_without_the_journals_thread_it_is_neither() -> None:
    host = ShownHost(Vital([], journal_lives=False))
    assert not healthy(host)[0]
    assert not ready(host)[0]
    assert "only a new engine" in healthy(host)[1]
