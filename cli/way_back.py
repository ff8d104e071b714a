"""Rolling back from a shell: the one thing that must work whatever else is broken, and at once.

With an engine at hand nothing is imported but this, and what it needs of `engine.line`. Without one the user's own is
started; when that fails too, or the engine is not the user's to start, the release's own rollback.sh is offered.
"""

from __future__ import annotations

import os
import time

from cli.ending import Exit, fail, show, warn
from cli.pick import pick
from engine.line import EngineGone, EngineRefused, address, ask, give, own_address, release_path

TYPE_CHECKING = False
if TYPE_CHECKING:  # as in `cli.ending`
    from collections.abc import Callable, Sequence
    from typing import Any

ANSWER_LIMIT_S = 3.0  # an engine that takes an order to roll back has answered long before
POLL_S = 0.02
AWAY_LIMIT_S = 4.0  # a service manager has started its engine again by then, or won't
AWAY_POLL_S = 0.2
SWITCHES = ("--no-wait", "--json", "--break-glass")
NO_REASON = "--break-glass goes with --reason WHY: it is announced to everybody with it"
LAST = ("promoted", "rolled_back")  # without a name the last release may have ended so


class Wanted:
    """What `laneshift rollback` was asked for. `name` is a release, a service, or None for the only one under way."""

    def __init__(
        self,
        name: str | None = None,
        reason: str = "",
        *,
        no_wait: bool = False,
        as_json: bool = False,
        break_glass: bool = False,
    ) -> None:
        self.name = name
        self.no_wait = no_wait
        self.as_json = as_json
        self.asked_at = time.time()
        order_id = os.urandom(16).hex()  # one for all attempts: the order counts once
        self.order = {"verb": "rollback", "id": order_id, "reason": reason, "asked_at": self.asked_at}
        if break_glass:
            self.order["break_glass"] = True


def read(arguments: Sequence[str]) -> Wanted | None:
    """The plain forms `[NAME] [--reason WHY] [--break-glass] [--no-wait] [--json]`; None for anything else, which click
    reads or explains: importing it takes longer than rolling back."""
    left = list(arguments)
    reason = ""
    if "--reason" in left[:-1]:
        at = left.index("--reason")
        reason = left[at + 1]
        del left[at : at + 2]
    switches = [one for one in left if one in SWITCHES]
    names = [one for one in left if one not in SWITCHES]
    if len(names) > 1 or any(one.startswith("-") for one in [reason, *names]):
        return None
    return Wanted(
        names[0] if names else None,
        reason,
        no_wait="--no-wait" in switches,
        as_json="--json" in switches,
        break_glass="--break-glass" in switches,
    )


def roll_back(wanted: Wanted) -> None:
    """Order it and, unless told not to, wait until it is in effect."""
    if wanted.order.get("break_glass") and not str(wanted.order["reason"]).strip():
        fail(Exit.BAD_INPUT, NO_REASON)
    place = address()
    release = _with_engine(place, wanted.name, lambda: _order(place, wanted))
    if wanted.no_wait:
        show(wanted.as_json, {"release": release, "accepted": True}, f"{release}: roll back accepted")
        return
    seen = _with_engine(place, release, lambda: _ended(place, release))
    if seen["phase"] == "rollback_failed":
        fail(Exit.ROLLBACK_FAILED, f"{release}: {seen['waits_for']}", release=release, phase=seen["phase"])
    seconds = max(0.0, (seen["rollback"]["observed"] or time.time()) - wanted.asked_at)
    text = f"{release}: rolled back; all traffic on {seen['stable']} after {seconds:.2f} s"
    show(wanted.as_json, {"release": release, "phase": seen["phase"], "seconds": round(seconds, 3)}, text)


def _order(place: str, wanted: Wanted) -> str:
    """Give the order; returns the release's id. A name is tried as an id first: that spares a question."""
    release = wanted.name
    if release is not None:
        try:
            return _given(place, release, wanted)
        except EngineRefused as refused:
            if refused.status != 404:
                raise
    return _given(place, pick(place, release, ended=LAST), wanted)


def _given(place: str, release: str, wanted: Wanted) -> str:
    why = give(place, release, wanted.order, limit_s=ANSWER_LIMIT_S)
    if why:
        fail(Exit.REFUSED, f"{release}: {why}", release=release, accepted=False)
    return release


def _ended(place: str, release: str) -> dict[str, Any]:
    """Wait for the end of the roll back; returns the release as it is then."""
    while True:
        seen: dict[str, Any] = ask(place, "GET", release_path(release), limit_s=ANSWER_LIMIT_S)
        if seen["phase"] in ("rolled_back", "rollback_failed"):
            return seen
        time.sleep(POLL_S)


# --- without an engine


def _with_engine(place: str, name: str | None, act: Callable[[], Any]) -> Any:
    """Act; when no engine answers, start the user's own if it is that one, and act again."""
    from_own = place == own_address()
    try:
        return act()
    except EngineGone as gone:
        warn(f"{gone}\n  starting an engine" if from_own else f"{gone}\n  {gone.mend}".rstrip())
    from cli.no_engine import offer_script

    try:
        if not from_own:
            return _when_back(act)
        _start_own()
        return act()
    except EngineGone as gone:
        offer_script(place, name, str(gone))


def _when_back(act: Callable[[], Any]) -> Any:
    """An engine that others keep may be about to be there again. Raises EngineGone."""
    deadline = time.monotonic() + AWAY_LIMIT_S
    while True:
        try:
            return act()
        except EngineGone:
            if time.monotonic() > deadline:
                raise
        time.sleep(AWAY_POLL_S)


def _start_own() -> None:
    from engine import client as engines

    engines.ensure_engine(engines.EngineClient(folder=engines.home()))
