"""The doctor of people and keys: who can be told apart, what ends, what everybody may write to."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from engine.config import EngineConfig, EngineConfigError, parse_engine_config
from engine.config.tls import tls_files
from engine.doctor import Place, examination
from engine.doctor.keys import examine_keys
from engine.doctor.people import examine_people
from engine.finding import Finding
from engine.plan.model import Plan
from tests.engine.serving.certificates import certify

PLAN: dict[str, Any] = {
    "service": "shop",
    "router": {"sandbox": {"url": "http://127.0.0.1:1"}},
    "source": {"scrape": {"urls": ["http://127.0.0.1:1/metrics"]}},
    "metrics": {"errors": {"total": "requests", "bad": "bad", "baseline": "0.1%", "alert": "> 2%"}},
}
TWO = {"gate": {"approvers": 2}}
LISTEN = 'listen: {address: "127.0.0.1:0", certificate: server.pem, key: server.key}\n'
NOW = time.time()
DAY = 86400.0


def tokens(*users: str, more: str = "") -> str:
    rows = (
        f"  - {{name: t{n}, user: {user}, roles: [approver], sha256: {sha256(f'{n}'.encode()).hexdigest()}{more}}}\n"
        for n, user in enumerate(users)
    )
    return f"{LISTEN}tokens:\n{''.join(rows)}"


def config(text: str) -> EngineConfig:
    return parse_engine_config(text.encode())


def people(
    plan: dict[str, Any], text: str = "{}", *, shared: bool = False, supervised: bool = True
) -> dict[str, Finding]:
    found = examine_people(
        Plan.model_validate({**PLAN, **plan}), config(text), shared_socket=shared, supervised=supervised
    )
    return {one.what: one for one in found}


def test_a_plan_that_asks_nothing_of_people_has_no_line():
    assert people({}) == {}


def test_two_people_on_a_socket_of_one_user_are_one():
    found = people(TWO)["approvals"]
    assert (found.grade, "only one user can open the engine's socket" in found.said) == ("bad", True)
    assert "token" in found.mend


def test_a_group_of_one_user_is_one_too(monkeypatch):
    monkeypatch.setattr("engine.access.members_of", lambda _: frozenset({"ana"}))
    found = people(TWO, "socket: {group: release}")["approvals"]
    assert (found.grade, "only one user is in it" in found.said) == ("bad", True)


def test_two_who_are_told_apart_and_may_approve_are_enough():
    assert people(TWO, tokens("ana", "bea"))["approvals"].grade == "ok"
    assert people(TWO, shared=True)["approvals"].grade == "ok"


def test_a_gate_of_a_stage_counts_too():
    stages = {"stages": [{"weight": 10, "bake": "15m", "gate": {"approvers": 3}}, {"weight": 100, "bake": "15m"}]}
    found = people(stages, "roles: {approver: {users: [nobody-here]}}\n" + tokens("ana", "bea"))["approvals"]
    assert (found.grade, found.said) == ("bad", "a gate asks for 3 people, and only ana, bea may approve")


def test_roles_that_leave_nobody_who_could_approve_are_said():
    found = people({"gate": {"approvers": 1}}, "roles: {operator: {users: [nobody-here]}}")["approvals"]
    assert (found.grade, "nobody who reaches the engine may approve" in found.said) == ("bad", True)


def test_a_list_of_who_may_roll_back_needs_people_who_can_be_told_apart():
    assert people({"rollback": {"who": ["oncall"]}})["rollback.who"].grade == "warn"
    assert people({"rollback": {"who": ["oncall"]}}, tokens("ana", "bea")) == {}


def test_production_needs_an_engine_that_comes_back():
    found = people({"production": True}, supervised=False)["engine"]
    assert (found.grade, found.mend) == ("bad", "laneshift serve --install")
    assert people({"production": True})["engine"].grade == "ok"


# --- keys


def keys(text: str, home: Path, now: float = NOW) -> dict[str, Finding]:
    return {one.what: one for one in examine_keys(config(text), home / "engine.yaml", home, now)}


@pytest.fixture
def home(tmp_path):
    tmp_path.chmod(0o700)
    return tmp_path


@pytest.fixture
def certified(home):
    certify(home)
    return home


@pytest.mark.parametrize(("now", "said"), [("2027-01-20", "ends in 12d"), ("2027-02-03", "ended 2d ago")])
def test_a_token_that_ends_soon_is_said(home, now, said):
    at = datetime.fromisoformat(now).replace(tzinfo=UTC).timestamp()
    found = keys(tokens("ana", more=", expires: 2027-01-31"), home, at)["tokens"]
    assert (found.grade, said in found.said) == ("warn", True)


def test_tokens_need_an_address_and_an_address_needs_tokens(home):
    deaf = tokens("ana").removeprefix(LISTEN)
    assert "there is no listen" in keys(deaf, home)["tokens"].said
    assert "there are none" in keys(LISTEN, home)["tokens"].said
    assert "tokens" not in keys(tokens("ana"), home)


@pytest.mark.parametrize(
    ("later", "grade", "said"),
    [(0.0, "warn", "ends in 1d"), (2.5 * DAY, "bad", "ended 12h ago"), (-20 * DAY, "ok", "belongs to its key")],
)
def test_a_certificate_that_ends_soon_is_said(certified, later, grade, said):
    found = keys(tokens("ana"), certified, time.time() + later)["certificate"]
    assert (found.grade, said in found.said) == (grade, True), found


def test_a_key_of_another_certificate_is_bad(certified):
    certify(certified, "other")
    (certified / "other.key").replace(certified / "server.key")
    found = keys(LISTEN, certified)["certificate"]
    assert (found.grade, "can't be used together" in found.said) == ("bad", True)


def test_a_key_that_others_can_read_is_refused(certified):
    (certified / "server.key").chmod(0o644)
    assert keys(LISTEN, certified)["certificate"].grade == "bad"
    listen = config(LISTEN).listen
    assert listen is not None
    with pytest.raises(EngineConfigError, match="chmod 0600"):
        tls_files(listen, certified / "engine.yaml")
    (certified / "server.key").chmod(0o640)
    assert tls_files(listen, certified / "engine.yaml") == (certified / "server.pem", certified / "server.key")


def test_a_certificate_that_is_not_there_is_bad(home):
    assert "server.pem can't be read" in keys(LISTEN, home)["certificate"].said


def test_a_folder_that_everybody_can_write_to_is_bad(home):
    (home / "secrets").mkdir()
    assert keys("{}", home) == {}
    (home / "secrets").chmod(0o777)
    found = keys("{}", home)["folders"]
    assert (found.grade, found.mend) == ("bad", f"chmod o-w {home}/secrets")


def test_a_configuration_that_is_wrong_is_a_line_of_its_own(home, monkeypatch):
    monkeypatch.delenv("LANESHIFT_ENGINE_CONFIG", raising=False)
    (home / "engine.yaml").write_text("rolls: {}")
    (home / "engine.yaml").chmod(0o600)
    (found,) = examination._of_the_engine(Plan.model_validate(PLAN), Place(home, (), {}))
    assert (found.grade, found.what) == ("bad", "engine.yaml")


def test_the_group_that_the_engine_was_started_with_counts(home, monkeypatch):
    monkeypatch.setattr("engine.access.members_of", {"release": frozenset({"ana", "bea"})}.get)
    plan = Plan.model_validate({**PLAN, **TWO})
    alone = examination._of_the_engine(plan, Place(home, (), {}, config("{}")))
    shared = examination._of_the_engine(plan, Place(home, (), {}, config("{}"), socket_group="release"))
    assert [alone[0].grade, shared[0].grade] == ["bad", "ok"]
