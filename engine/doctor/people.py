"""Can the people be there that a plan asks for? Approvals, the list of who may roll back, an engine that stays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.access import Access
from engine.config import EngineConfig
from engine.finding import Finding
from engine.plan.model import Plan

APPROVALS = "approvals"
ENGINE = "engine"
APART = "give each person a token (listen, tokens), or a user in the socket's group (socket: {group}): docs/security.md"


def examine_people(plan: Plan, config: EngineConfig, *, shared_socket: bool, supervised: bool) -> list[Finding]:
    """What the plan asks of people and of the engine's standing; nothing where it asks for nothing."""
    access = Access.of(config)
    shared = shared_socket or bool(config.socket and config.socket.group)
    apart = access.told_apart(shared)
    return [*_approvals(plan, access, shared, apart), *_listed(plan, apart), *_stays(plan, supervised)]


def _approvals(plan: Plan, access: Access, shared: bool, apart: bool) -> Iterator[Finding]:
    needed = max((gate.approvers for gate in (plan.gate, *(stage.gate for stage in plan.stages)) if gate), default=0)
    if not needed:
        return
    may = access.approvers(shared)
    if may is not None and not may:
        said = "a gate asks for approvals, and nobody who reaches the engine may approve"
        yield Finding("bad", APPROVALS, said, "name users or groups under roles.approver in engine.yaml")
    elif needed > 1 and not apart:
        yield Finding("bad", APPROVALS, f"a gate asks for {needed} people; {_alone(shared)}", APART)
    elif may is not None and len(may) < needed:
        said = f"a gate asks for {needed} people, and only {_names(sorted(may))} may approve"
        yield Finding("bad", APPROVALS, said, "name more under roles.approver in engine.yaml, or ask for fewer")
    else:
        who = "who reaches the engine and has the role" if may is None else _names(sorted(may))
        yield Finding("ok", APPROVALS, f"{needed} are needed; may approve: {who}")


def _listed(plan: Plan, apart: bool) -> Iterator[Finding]:
    if plan.rollback.who and not apart:
        said = "rollback.who names people, and here two can't be told apart: everybody is the engine's own user"
        yield Finding("warn", "rollback.who", said, APART)


def _stays(plan: Plan, supervised: bool) -> Iterator[Finding]:
    if not plan.production:
        return
    if supervised:
        yield Finding("ok", ENGINE, "is started again when it ends, as production asks for")
        return
    said = "the plan says production: true, and this engine was started by a terminal: it ends with it"
    yield Finding("bad", ENGINE, said, "laneshift serve --install")


def _alone(shared: bool) -> str:
    if shared:
        return "the socket is open to a group, but only one user is in it"
    return "only one user can open the engine's socket, so two people can't be told apart"


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
