"""Who may do what: every cell of the table in docs/security.md, over the socket and by a token."""

from __future__ import annotations

import socket
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from engine.access import Access, Caller, Peer, PeerUnknownError, UnknownTokenError, peer_of
from engine.access.people import People, Person
from engine.config import parse_engine_config
from engine.release.orders import VERBS
from tests.engine.release_driver import Driver

DOCS = (Path(__file__).parents[3] / "docs" / "security.md").read_text()
USERS = {1001: "vera", 1002: "otto", 1003: "anna", 1004: "lisa", 1005: "nobody"}
WHO = {"no role": "nobody", "viewer": "vera", "operator": "otto", "approver": "anna", "listed in rollback.who": "lisa"}
TOKENS = "".join(
    f"  - {{name: {name}, user: {name}, roles: [viewer], sha256: {sha256(name.encode()).hexdigest()}}}\n"
    for name in ("lisa", "nobody")
) + "".join(
    f"  - {{name: {name}, user: {name}, sha256: {sha256(name.encode()).hexdigest()}}}\n"
    for name in ("vera", "otto", "anna")
)
CONFIG = f"""\
roles:
  viewer: {{users: [vera]}}
  operator: {{users: [otto]}}
  approver: {{users: [anna]}}
listen: {{address: "127.0.0.1:0", certificate: c.pem, key: k.pem}}
tokens:
{TOKENS}"""


def cells() -> list[tuple[str, str, bool]]:
    """Each row's act (with what follows it), each column, and what the table says."""
    lines = [line.strip("| ").split(" | ") for line in DOCS.splitlines() if line.startswith("| ")]
    begin = next(index for index, line in enumerate(lines) if line[0] == "act")
    columns = lines[begin][1:]
    rows = [line for line in lines[begin + 2 :] if line[0].startswith("`")]
    return [(row[0], column, said == "yes") for row in rows for column, said in zip(columns, row[1:], strict=True)]


CELLS = cells()


class Known(People):
    """The users above, in no group."""

    def person(self, uid: int, gid: int) -> Person:
        return Person(USERS[uid], frozenset())


ACCESS = Access(parse_engine_config(CONFIG.encode()), Known())


def caller(column: str, proof: str) -> Caller:
    who = WHO.get(column, "nobody")
    if proof == "kernel":
        return ACCESS.by_peer(Peer(next(uid for uid, name in USERS.items() if name == who), 1, 1))
    known = ACCESS.by_token(who, "10.0.0.1:5", 0.0)
    return known if column in ("viewer", "operator", "approver") else replace(known, roles=frozenset())


def test_the_table_has_every_order_and_every_column():
    acts = {row.split("`")[1] for row, _, _ in CELLS}
    assert acts == {*VERBS, "look", "doctor", "start", "stop", "prune"}
    assert {column for _, column, _ in CELLS} == {"nobody known", "break glass", *WHO}


@pytest.mark.parametrize("proof", ["kernel", "token"])
@pytest.mark.parametrize(("row", "column", "may"), CELLS)
def test_a_cell_is_true(row, column, may, proof):
    if column == "nobody known":
        assert not may
        assert nobody_comes_in(proof)
        return
    act = row.split("`")[1]
    listed = ("lisa",) if "others" in row or column == "listed in rollback.who" else ()
    asking = caller(column, proof)
    why = ACCESS.refusal(asking, act, rollback_who=listed, release="shop-7")
    if column == "break glass":
        assert why
        assert taken(act, asking, why) is may
        return
    assert (not why) is may, why
    if why:
        assert why.startswith(asking.who)
        assert "may not" in why
        assert "ask one of them" in why


def nobody_comes_in(proof: str) -> bool:
    if proof == "kernel":
        with socket.socket() as line, pytest.raises(PeerUnknownError):
            peer_of(line)
    else:
        with pytest.raises(UnknownTokenError):
            ACCESS.by_token("otto ", "10.0.0.1:5", 0.0)
    return True


def taken(act: str, asking: Caller, why: str) -> bool:
    """Is the order taken although roles refuse it, with the glass broken? What is no order has no glass."""
    if act not in VERBS:
        return False
    meant = {"break_glass": True, "reason": "fire", "forbidden": why, "who": asking.who}
    said = Driver().baking().order(act, **meant)
    return "OrderAccepted" in {type(event).__name__ for event in said}
