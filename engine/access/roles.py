"""Who may do what: three roles, and the acts that each allows.

An act is `look`, `start`, `doctor`, `stop`, `prune` or the verb of an order. One that is not named here is an
operator's.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """What a person is to an engine; somebody may be more than one."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    APPROVER = "approver"


ALL: Final = frozenset(Role)
_NOT_ONLY_OPERATORS: Final = {
    "look": ALL,
    "doctor": frozenset({Role.VIEWER, Role.OPERATOR}),
    "approve": frozenset({Role.APPROVER}),
}


def roles_for(act: str) -> frozenset[Role]:
    """The roles of which one is enough for this act."""
    return _NOT_ONLY_OPERATORS.get(act, frozenset({Role.OPERATOR}))
