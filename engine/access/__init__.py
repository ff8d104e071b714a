"""Who asks, and may they? Names come from the kernel or from a token; what a client says of itself counts for nothing.

docs/security.md has the table of who may do what; it is read by the tests of this package.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Self

from engine.access.caller import Caller, UnknownTokenError, place
from engine.access.peer import Connection, Peer, PeerUnknownError, peer_of
from engine.access.people import People, members_of
from engine.access.roles import ALL, Role, roles_for
from engine.plan.problem import printable

if TYPE_CHECKING:  # which needs the roles of this package
    from engine.config import EngineConfig
    from engine.config.people import Members, Token

__all__ = ["Access", "Caller", "Connection", "Peer", "PeerUnknownError", "Role", "UnknownTokenError", "peer_of"]

EVERYBODY: Final = "*"
LONGEST_TOKEN: Final = 4096
SHOWN: Final = 5  # names in a refusal


@dataclass(frozen=True, slots=True)
class _Known:
    """A token as it is compared: the digest of what is shown, never the token."""

    digest: bytes
    token: Token
    caller_groups: frozenset[str]
    roles: frozenset[Role]


class Access:
    """What one engine's configuration says of people. Made anew when the configuration is."""

    def __init__(self, config: EngineConfig, people: People | None = None) -> None:
        self._people = people or People()
        self._config = config
        self._members: dict[Role, Members] | None = config.roles.members() if config.roles else None
        self._tokens = tuple(self._known(token) for token in config.tokens)

    @classmethod
    def of(cls, config: EngineConfig) -> Self:
        """Of an engine's configuration."""
        return cls(config)

    # --- who asks

    def by_peer(self, peer: Peer, said: str = "") -> Caller:
        """The caller at the other end of a unix socket; `said` are the client's own words about where it is."""
        person = self._people.person(peer.uid, peer.gid)
        roles = ALL if self._members is None else self._roles(person.name, person.groups)
        proven = "this machine" if peer.pid is None else f"pid {peer.pid}"
        return Caller(person.name, person.groups, roles, place(proven, said), "kernel")

    def by_token(self, token: str, address: str, at: float, said: str = "") -> Caller:
        """The caller with this token, from this address, at this time (seconds since the epoch).

        Raises UnknownTokenError for one that is not known and for one that has expired, after the same work.
        """
        written = token.encode(errors="replace")
        shown = sha256(written).digest()
        found: _Known | None = None
        for known in self._tokens:  # all of them, so that the time says nothing about which
            if hmac.compare_digest(known.digest, shown):
                found = known
        if found is None or len(written) > LONGEST_TOKEN or found.token.has_expired(at):
            raise UnknownTokenError
        proven = f"{printable(address)}, token {found.token.name}"
        return Caller(found.token.user, found.caller_groups, found.roles, place(proven, said), "token")

    # --- may they

    def refusal(self, caller: Caller, act: str, *, rollback_who: Sequence[str] = (), release: str = "") -> str:
        """Why this caller may not do `act`, and who may; empty when it may.

        `rollback_who` is the plan's list: with it exactly those users and groups may roll back, whatever their roles.
        Breaking the glass is no matter of roles: whoever takes the order decides it (`engine.release`).
        """
        if act == "rollback" and rollback_who:
            return "" if self._listed(caller, rollback_who) else _not_listed(caller, rollback_who, release)
        if caller.roles & roles_for(act):
            return ""
        return self._without_role(caller, act, release)

    def told_apart(self, shared_socket: bool) -> bool:
        """Can two people be told apart at all? `shared_socket`: a group may open the socket, not one user alone."""
        reaching = self.reaching(shared_socket)
        return reaching is None or len(reaching) > 1

    def reaching(self, shared_socket: bool) -> frozenset[str] | None:
        """The names that can reach the engine; None when it can't be known."""
        own = frozenset({self._people.own().name})
        if shared_socket:
            group = self._config.socket.group if self._config.socket else None
            members = members_of(group) if group else None
            if members is None:
                return None
            own = members
        return own | {token.user for token in self._config.tokens if self._config.listen}

    def approvers(self, shared_socket: bool) -> frozenset[str] | None:
        """The names that can reach the engine and approve; None when it can't be known."""
        reaching = self.reaching(shared_socket)
        if self._members is None or reaching is None:
            return reaching
        by_token = {known.token.user for known in self._tokens if Role.APPROVER in known.roles and self._config.listen}
        return frozenset(by_token) | {name for name in reaching if self._approves(name)}

    # --- how

    def _known(self, token: Token) -> _Known:
        groups = frozenset(token.groups)
        roles = frozenset(token.roles) or self._roles(token.user, groups)
        return _Known(bytes.fromhex(token.sha256), token, groups, roles)

    def _roles(self, who: str, groups: frozenset[str]) -> frozenset[Role]:
        members = self._members or {}
        return frozenset(role for role, named in members.items() if named.holds(who, groups))

    def _approves(self, name: str) -> bool:
        person = self._people.named(name)
        return person is not None and Role.APPROVER in self._roles(person.name, person.groups)

    @staticmethod
    def _listed(caller: Caller, listed: Sequence[str]) -> bool:
        return caller.who in listed or not caller.groups.isdisjoint(listed)

    def _without_role(self, caller: Caller, act: str, release: str) -> str:
        """`ana (viewer) may not advance shop-7: ...`."""
        wanted = [role for role in Role if role in roles_for(act)]
        have = ", ".join(role for role in Role if role in caller.roles) or "no role"
        what = f"{_ACTS.get(act, act)} {release}".rstrip()
        may = " or ".join(f"{_a(role)} may: {self._who(role)}" for role in wanted)
        glass = _GLASS if act == "rollback" else ""
        keys = " or ".join(f"roles.{role}" for role in wanted)
        mend = f"ask one of them, or have {keys} in engine.yaml name you{glass}"
        return f"{caller.who} ({have}) may not {what}; {may}; {mend}"

    def _who(self, role: Role) -> str:
        named = (self._members or {}).get(role)
        tokens = [known.token.user for known in self._tokens if role in known.roles]
        users = list(dict.fromkeys([*(named.users if named else ()), *tokens]))
        shown = [*users, *(f"group {group}" for group in (named.groups if named else ()))]
        return _few(shown) or "nobody has that role yet"


_ACTS: Final = {"look": "look at", "doctor": "run the doctor", "stop": "stop the engine", "prune": "prune the journal"}
_GLASS: Final = "; in an emergency: laneshift rollback --break-glass --reason WHY"


def _a(role: Role) -> str:
    return f"{'a' if role is Role.VIEWER else 'an'} {role}"


def _not_listed(caller: Caller, listed: Sequence[str], release: str) -> str:
    what = f"roll back {release}".rstrip()
    who = _few([printable(name) for name in listed])
    return f"{caller.who} may not {what}: the plan's rollback.who names {who}; ask one of them{_GLASS}"


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
