"""Names from the kernel or a token, and refusals that say who may."""

from __future__ import annotations

import os
import pwd
import socket
import struct
from datetime import UTC, datetime
from hashlib import sha256

import pytest

from engine.access import Access, Peer, PeerUnknownError, Role, UnknownTokenError, peer_of, people
from engine.access.people import People, Person, members_of
from engine.config import parse_engine_config

TOKEN = "a" * 64
DIGEST = sha256(TOKEN.encode()).hexdigest()
CONFIG = f"""\
roles:
  operator: {{groups: [release]}}
  approver: {{users: [ana]}}
listen: {{address: "127.0.0.1:0", certificate: c.pem, key: k.pem}}
tokens:
  - {{name: laptop, user: bea, groups: [release], sha256: {DIGEST}, expires: 2027-01-31}}
  - {{name: other, user: eve, roles: [viewer], sha256: {"1" * 64}}}
"""
LAST_SECOND = datetime(2027, 1, 31, 23, 59, 59, tzinfo=UTC).timestamp()


def access(text: str = CONFIG, known: People | None = None) -> Access:
    return Access(parse_engine_config(text.encode()), known)


class Fixed(People):
    def __init__(self, **named: tuple[str, ...]) -> None:
        super().__init__()
        self._named = named

    def own(self) -> Person:
        return Person("engine", frozenset())

    def named(self, name: str) -> Person | None:
        return Person(name, frozenset(self._named[name])) if name in self._named else None


# --- peers


@pytest.mark.real
def test_the_kernel_says_who_connected(tmp_path):
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as client:
        listening.bind(str(tmp_path / "s"))
        listening.listen()
        client.connect(str(tmp_path / "s"))
        served, _ = listening.accept()
        with served:
            assert peer_of(served) == Peer(os.getuid(), os.getgid(), os.getpid())


class Mac:
    """A socket of macOS: what its kernel would hold."""

    family = socket.AF_UNIX

    def __init__(self, version: int = 0, groups: tuple[int, ...] = (20, 501)) -> None:
        padded = (*groups, *(0 for _ in range(16 - len(groups))))
        self.said = {1: struct.pack("IIh16I", version, 501, len(groups), *padded), 2: struct.pack("i", 4711)}

    def getsockopt(self, level: int, optname: int, buflen: int, /) -> bytes:
        assert level == 0
        assert buflen == len(self.said[optname])
        return self.said[optname]


def test_macos_has_structures_of_its_own():
    assert len(Mac().said[1]) == 76  # sizeof(struct xucred)
    assert peer_of(Mac(), "darwin") == Peer(501, 20, 4711)


@pytest.mark.parametrize("answer", [Mac(version=1), Mac(groups=())])
def test_another_form_of_credentials_is_nobody(answer):
    with pytest.raises(PeerUnknownError, match="another form"):
        peer_of(answer, "darwin")


def test_where_the_system_does_not_say_it_nobody_is_taken_for_somebody():
    with pytest.raises(PeerUnknownError, match="on sunos5"):
        peer_of(Mac(), "sunos5")
    with socket.socket() as line, pytest.raises(PeerUnknownError, match="with a token"):
        peer_of(line)


class Silent:
    family = socket.AF_UNIX

    def __init__(self, answer: bytes) -> None:
        self.answer = answer

    def getsockopt(self, level: int, optname: int, buflen: int, /) -> bytes:
        return self.answer


@pytest.mark.parametrize("answer", [b"", struct.pack("iII", 0, 0xFFFFFFFF, 0xFFFFFFFF), struct.pack("i", 1)])
def test_a_kernel_without_credentials_is_nobody(answer):
    with pytest.raises(PeerUnknownError):
        peer_of(Silent(answer), "linux")


def test_a_process_of_another_namespace_has_no_number():
    assert peer_of(Silent(struct.pack("iII", 0, 7, 8)), "linux") == Peer(7, 8, None)


# --- people


def test_a_user_has_a_name_and_groups():
    me = People().own()
    assert me.name == pwd.getpwuid(os.geteuid()).pw_name
    assert me.groups
    assert People().named(me.name) == me
    assert People().named("no such user") is None


def test_a_number_without_a_name_is_shown_as_such():
    assert People().person(3999999, 3999998) == Person("uid 3999999", frozenset({"gid 3999998"}))


def test_names_are_kept_for_seconds_and_no_longer(monkeypatch):
    asked = []
    now = [0.0]
    monkeypatch.setattr(people, "_looked_up", lambda uid, _: asked.append(uid) or Person(f"u{uid}", frozenset()))
    known = People(lambda: now[0])
    for at in (0.0, people.KEPT_S - 0.1, people.KEPT_S):
        now[0] = at
        assert known.person(7, 7).name == "u7"
    assert asked == [7, 7]


def test_what_is_kept_is_bounded(monkeypatch):
    monkeypatch.setattr(people, "_looked_up", lambda uid, _: Person(str(uid), frozenset()))
    known = People(lambda: 0.0)
    for uid in range(people.MOST_KEPT + 5):
        known.person(uid, 0)
    assert len(known._kept) <= people.MOST_KEPT


def test_a_group_has_those_whose_own_group_it_is():
    assert "root" in (members_of("root") or ())
    assert members_of("no such group") is None


# --- callers


def test_without_roles_who_can_open_the_socket_may_do_everything():
    who = access("{}").by_peer(Peer(os.getuid(), os.getgid(), 12), "pts/3, ssh from 10.0.0.9")
    assert who.roles == frozenset(Role)
    assert (who.who, who.where) == (People().own().name, "pid 12 (pts/3, ssh from 10.0.0.9)")
    assert access("{}").by_peer(Peer(0, 0, None)).where == "this machine"


def test_the_clients_own_words_are_one_short_line():
    where = access().by_token(TOKEN, "10.0.0.1:5", 0.0, "a\x1b[31m\n" + "b" * 1000).where
    assert where.startswith("10.0.0.1:5, token laptop (a\\u001b[31m bbb")
    assert len(where) < 250
    assert where.isprintable()


def test_a_token_has_the_roles_of_its_user_and_groups_or_its_own():
    who = access().by_token(TOKEN, "10.0.0.1:5", 0.0)
    assert (who.who, who.groups, who.roles) == ("bea", {"release"}, {Role.OPERATOR})
    own = CONFIG.replace("groups: [release], sha", "groups: [release], roles: [viewer], sha")
    assert access(own).by_token(TOKEN, "10.0.0.1:5", 0.0).roles == {Role.VIEWER}


def test_a_token_ends_with_its_last_day():
    assert access().by_token(TOKEN, "", LAST_SECOND).who == "bea"
    with pytest.raises(UnknownTokenError):
        access().by_token(TOKEN, "", LAST_SECOND + 1)


@pytest.mark.parametrize("token", ["", "b" * 64, TOKEN[:-1], TOKEN + " ", DIGEST, "\udc80", "ü" * 5000])
def test_what_is_no_token_has_the_same_answer_as_an_expired_one(token):
    with pytest.raises(UnknownTokenError) as unknown:
        access().by_token(token, "10.0.0.1:5", 0.0)
    with pytest.raises(UnknownTokenError) as expired:
        access().by_token(TOKEN, "10.0.0.1:5", LAST_SECOND + 1)
    assert str(unknown.value) == str(expired.value)


def test_all_tokens_are_compared_whichever_it_is(monkeypatch):
    compared = []
    real = __import__("hmac").compare_digest
    monkeypatch.setattr("engine.access.hmac.compare_digest", lambda a, b: compared.append(a) or real(a, b))
    access().by_token(TOKEN, "", 0.0)
    assert len(compared) == 2


# --- refusals


def test_a_refusal_says_who_may_and_what_to_do():
    eve = access().by_peer(Peer(3999999, 3999998, 1))
    why = access().refusal(eve, "advance", release="shop-7")
    assert why.startswith("uid 3999999 (no role) may not advance shop-7; an operator may: bea, group release; ask one")
    assert "roles.operator" in why
    assert "approver may: ana;" in access().refusal(eve, "approve")


def test_a_refused_roll_back_says_how_to_break_the_glass():
    eve = access().by_peer(Peer(3999999, 3999998, 1))
    for listed in ((), ("oncall",)):
        assert "--break-glass --reason" in access().refusal(eve, "rollback", rollback_who=listed)
    assert "--break-glass" not in access().refusal(eve, "advance")


def test_a_group_of_the_plans_list_may_roll_back_and_an_operator_beside_it_may_not():
    bea = access().by_token(TOKEN, "", 0.0)
    assert access().refusal(bea, "rollback") == ""
    assert access().refusal(bea, "rollback", rollback_who=["oncall", "release"]) == ""
    assert "rollback.who names oncall" in access().refusal(bea, "rollback", rollback_who=["oncall"])


def test_a_long_list_is_cut():
    listed = [f"team{number}" for number in range(40)]
    bea = access().by_token(TOKEN, "", 0.0)
    assert "team4 and 35 more" in access().refusal(bea, "rollback", rollback_who=listed)


# --- two people


def test_on_a_private_socket_without_tokens_there_is_one_person():
    assert not access("{}", Fixed()).told_apart(shared_socket=False)
    assert access("{}", Fixed()).told_apart(shared_socket=True)  # nobody knows who is in its group


def test_a_token_of_another_user_is_another_person_but_not_one_of_the_same():
    assert access(CONFIG, Fixed()).told_apart(shared_socket=False)
    alone = CONFIG.replace("user: bea", "user: engine").replace("user: eve", "user: engine")
    assert not access(alone, Fixed()).told_apart(shared_socket=False)


def test_tokens_that_nobody_listens_for_are_nobody():
    deaf = "\n".join(line for line in CONFIG.splitlines() if not line.startswith("listen"))
    assert not access(deaf, Fixed()).told_apart(shared_socket=False)


def test_a_shared_socket_has_those_of_its_group(monkeypatch):
    monkeypatch.setattr("engine.access.members_of", lambda _: frozenset({"ana"}))
    shared = "socket: {group: release}\n"
    assert not access(shared, Fixed()).told_apart(shared_socket=True)
    assert access(shared + CONFIG, Fixed(ana=())).approvers(shared_socket=True) == {"ana"}
