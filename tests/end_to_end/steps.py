"""What the tests of this folder do again and again, and what must hold in each of them."""

from __future__ import annotations

from typing import Any

from engine import events as ev
from engine.client import EngineRefused
from engine.events import Event
from engine.state import fold
from tests.end_to_end.plans import NAME, plan
from tests.support.engine_bench import stages_entered
from tests.support.shop_behind_envoy import NEW, Site


def begin(site: Site, **changes: Any) -> None:
    """A release of the sample plan with these changes."""
    site.release = site.client.begin(plan(site, **changes), NAME)


def at_first_gate(site: Site, **changes: Any) -> None:
    """The first stage has its proof and waits for a person."""
    begin(site, advance="manual", **changes)
    advance(site)
    site.until(lambda: "advance" in site.look()["orders"])
    assert (site.look()["stage"], site.weight()) == (0, 20)


def advance(site: Site) -> None:
    """As a person does it, as soon as it may be done."""
    site.until(lambda: "advance" in site.look()["orders"])
    seen = site.look()
    site.order("advance", stage=seen["stage"], revision=seen["revision"])


def advance_refused(site: Site) -> str:
    """Why an advance is refused; it must be."""
    seen = site.look()
    answer = site.client.give(site.release, "advance", stage=seen["stage"], revision=seen["revision"])
    assert not answer.accepted
    return answer.why


def start_refused(site: Site, **changes: Any) -> str:
    """Why a release is not started; it must not be."""
    try:
        begin(site, **changes)
    except EngineRefused as refused:
        return str(refused)
    raise AssertionError("started")


def explained(site: Site) -> str:
    """All that a person reads of why it stands still."""
    seen = site.look()
    return " | ".join([seen["waits_for"], *seen["holds"].values()])


def until_explained(site: Site, words: str, limit: float = 40) -> None:
    """Until a person reads these words."""
    site.until(lambda: words in explained(site), limit)


def events_of(site: Site, kind: type[Any]) -> list[Any]:
    """Those of one kind, as the journal has them."""
    return [event for event in site.history() if isinstance(event, kind)]


def rolled_back(site: Site, limit: float = 40) -> ev.RolledBack:
    """The release is rolled back: by the route, by Envoy, and by those who asked, none of whom was answered by the
    canary once laneshift said so."""
    site.ends("rolled_back", limit)
    assert site.weight() == 0
    site.until(lambda: site.envoy.weights()["canary"] == 0)
    complete(site)
    ended: ev.RolledBack = events_of(site, ev.RolledBack)[-1]
    last = site.traffic()["last_sent"].get(NEW, 0.0)
    assert last <= ended.at, f"a request sent {last - ended.at:.3f} s after the end was answered by the canary"
    return ended


def complete(site: Site) -> None:
    """The journal alone says what the engine says; what the engine shows may be some milliseconds ahead of it."""

    def agree() -> bool:
        seen, state = site.look(), fold(site.history())
        assert state is not None
        shown = (seen["phase"], seen["stage"], seen["weights"])
        return (state.phase.value, state.stage, list(state.weights)) == shown

    site.until(agree)


def never_advanced(history: list[Event], entered: int = 0) -> None:
    """The journal has every stage up to this one, once and in order, and nothing after it."""
    assert stages_entered(history) == list(range(entered + 1))
    weights = [event.weight for event in history if isinstance(event, ev.ShiftIntended) and event.weight]
    assert len(set(weights)) <= entered + 1
