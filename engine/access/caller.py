"""Who asks an engine for something, as the kernel or a token proves it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from engine.access.roles import Role
from engine.plan.problem import printable

MOST_SAID: Final = 200


@dataclass(frozen=True, slots=True)
class Caller:
    """`who` is the user's name, `where` what is known of the place: first what is proven (a process, an address, a
    token's name), then in brackets the client's own words."""

    who: str
    groups: frozenset[str]
    roles: frozenset[Role]
    where: str
    proof: Literal["kernel", "token"]


class UnknownTokenError(Exception):
    """No valid token: one message for all reasons, so that nothing can be learned by trying."""

    def __init__(self) -> None:
        super().__init__("this token is not known, or it has expired: ask who runs the engine for another")


def place(proven: str, said: str) -> str:
    """What is proven of a place, and what the client says of it: one line, bounded."""
    words = printable(" ".join(said.split()), MOST_SAID)
    return f"{proven} ({words})" if words else proven
