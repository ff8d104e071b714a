"""Who may do what, as people meet it: over a real unix socket as another user, and over TLS with a token."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine import events as ev
from engine.release import VERBS
from tests.engine.served import PLAN, Served, served
from tests.engine.serving.certificates import certify

pytestmark = pytest.mark.real
TOKENS = {"vic": "viewer", "oda": "operator", "abe": "approver"}
EXPIRED = "old-token"
ROLES = "".join(f"  {role}: {{users: [{user}]}}\n" for user, role in TOKENS.items())
LISTED = "".join(
    f"  - {{name: {user}s, user: {user}, sha256: {hashlib.sha256(user.encode()).hexdigest()}}}\n" for user in TOKENS
)
PAST = hashlib.sha256(EXPIRED.encode()).hexdigest()

ACTS: dict[str, set[str]] = {
    "look": {"vic", "oda", "abe"},
    "list": {"vic", "oda", "abe"},
    "stream": {"vic", "oda", "abe"},
    "engine": {"vic", "oda", "abe"},
    "doctor": {"vic", "oda"},
    "start": {"oda"},
    "prune": {"oda"},
    "stop": {"oda"},
    **{verb: {"abe"} if verb == "approve" else {"oda"} for verb in VERBS},
}


def settings(folder: Path) -> str:
    return (
        f"roles:\n{ROLES}tokens:\n{LISTED}"
        f"  - {{name: olds, user: oda, sha256: {PAST}, expires: 2020-01-01}}\n"
        f"listen: {{address: '127.0.0.1:0', certificate: {folder}/server.pem, key: {folder}/server.key}}\n"
    )


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    certify(folder)
    return folder


@pytest.fixture
async def engine(monkeypatch, certificates: Path) -> AsyncIterator[Served]:
    async with served(monkeypatch, settings(certificates)) as running:
        yield running


@pytest.fixture
async def release(engine: Served, certificates: Path) -> str:
    body = {"plan": PLAN, "name": "plan.yaml"}
    async with reach(engine, certificates, "oda") as http:
        return str((await http.post("/v1/releases", json=body)).json()["release"])


def reach(engine: Served, certificates: Path, token: str, **more: Any) -> httpx.AsyncClient:
    """A client with a token, over TLS."""
    trusted = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.AsyncClient(base_url=f"https://127.0.0.1:{engine.port}", verify=trusted, headers=headers, **more)


def asked(act: str, release: str) -> tuple[str, str, dict[str, Any] | None]:
    plain: dict[str, tuple[str, str, dict[str, Any] | None]] = {
        "look": ("GET", f"/v1/releases/{release}", None),
        "list": ("GET", "/v1/releases", None),
        "stream": ("GET", f"/v1/releases/{release}/events?after=x", None),  # 422 for who may
        "engine": ("GET", "/v1/engine", None),
        "doctor": ("POST", "/v1/doctor", {"plan": "wrong"}),
        "start": ("POST", "/v1/releases", {"plan": "wrong"}),
        "prune": ("POST", "/v1/prune", {}),
        "stop": ("POST", "/v1/stop", None),
    }
    order = ("POST", f"/v1/releases/{release}/orders", {"verb": act, "id": os.urandom(8).hex(), "who": "root"})
    return plain.get(act, order)


@pytest.mark.parametrize("act", ACTS)
async def test_each_may_what_the_table_says(engine: Served, certificates: Path, release: str, act: str):
    for user in sorted(TOKENS, key=ACTS[act].__contains__):  # who may stop comes last
        method, path, body = asked(act, release)
        async with reach(engine, certificates, user) as http:
            answer = await http.request(method, path, json=body)
        assert (answer.status_code != 403) == (user in ACTS[act]), (user, answer.text)
        if answer.status_code == 403:
            said = answer.json()["error"]
            assert said.startswith(f"{user} ({TOKENS[user]}) may not")
            assert "may: " in said, "it says who may"
            assert "—" not in said


async def test_without_a_token_nobody_is_anybody(engine: Served, certificates: Path, release: str):
    for token, said in (
        ("", "Authorization: Bearer"),
        ("guess", "not known"),
        (EXPIRED, "not known"),
        ("é", "not known"),
    ):
        headers = {"Authorization": f"Bearer {token}".encode()} if token else {}
        for act in ACTS:
            method, path, body = asked(act, release)
            async with reach(engine, certificates, "") as http:
                answer = await http.request(method, path, json=body, headers=headers)
            assert answer.status_code == 401, (act, token)
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert said in answer.json()["error"]


async def test_a_token_taken_out_of_the_file_opens_nothing_any_more(engine: Served, certificates: Path, release: str):
    file = engine.client.folder / "engine.yaml"
    async with reach(engine, certificates, "oda") as http:
        assert (await http.get("/v1/releases")).status_code == 200
        good = file.read_text()
        file.write_text("roles: 5")
        assert (await http.get("/v1/engine")).json()["notices"][0].startswith("the engine's configuration is wrong")
        file.write_text(good.replace("name: odas", "name: odas, expires: 2020-01-01"))
        assert (await http.get("/v1/releases")).status_code == 401


async def test_what_a_role_forbids_is_in_the_journal_with_who_and_where(
    engine: Served, certificates: Path, release: str
):
    order = {"verb": "rollback", "id": "mine", "who": "root", "where": "tty7"}
    async with reach(engine, certificates, "vic") as http:
        for _ in range(2):  # a repeat is answered alike
            answer = await http.post(f"/v1/releases/{release}/orders", json=order)
            assert answer.status_code == 403
    refused = [said.event for said in await engine.host.history(release, 0) if isinstance(said.event, ev.OrderRefused)]
    assert [(one.who, one.where) for one in refused] == [("vic", "127.0.0.1, token vics (tty7)")]


async def test_anyone_may_break_the_glass_with_a_reason(engine: Served, certificates: Path, release: str):
    order = {"verb": "rollback", "break_glass": True}
    async with reach(engine, certificates, "oda") as http:
        look = (await http.get(f"/v1/releases/{release}")).json()
        while "advance" not in look["orders"]:
            await asyncio.sleep(0.01)
            look = (await http.get(f"/v1/releases/{release}")).json()
        go = {"verb": "advance", "id": "go", "stage": look["stage"], "revision": look["revision"]}
        assert (await http.post(f"/v1/releases/{release}/orders", json=go)).status_code == 200
    async with reach(engine, certificates, "vic") as http:
        bare = await http.post(f"/v1/releases/{release}/orders", json=order | {"id": "1"})
        assert (bare.status_code, "needs a reason" in bare.json()["error"]) == (403, True)
        given = await http.post(f"/v1/releases/{release}/orders", json=order | {"id": "2", "reason": "it burns"})
        assert given.status_code == 200, given.text
    said = [one.event for one in await engine.host.history(release, 0)]
    broken = next(event for event in said if isinstance(event, ev.GlassBroken))
    assert (broken.who, broken.reason) == ("vic", "it burns")


async def test_a_plan_may_say_who_rolls_back(monkeypatch, certificates: Path):
    async with served(monkeypatch, settings(certificates)) as engine:
        body = {"plan": PLAN + "rollback: {who: [abe]}\n", "name": "plan.yaml"}
        async with reach(engine, certificates, "oda") as http:
            release = (await http.post("/v1/releases", json=body)).json()["release"]
            order = {"verb": "rollback", "id": "1"}
            answer = await http.post(f"/v1/releases/{release}/orders", json=order)
            assert (answer.status_code, "rollback.who names abe" in answer.json()["error"]) == (403, True)
        async with reach(engine, certificates, "abe") as http:
            answer = await http.post(f"/v1/releases/{release}/orders", json=order | {"id": "2"})
            assert answer.status_code in (200, 409)


async def test_tls_is_1_2_at_least(engine: Served, certificates: Path):
    old = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    async with httpx.AsyncClient(verify=old) as http:
        with pytest.raises(httpx.ConnectError):
            await http.get(f"https://127.0.0.1:{engine.port}/v1/engine")


ASK_AS = """
import os, socket, sys
os.setgroups([]); os.setgid(int(sys.argv[1])); os.setuid(int(sys.argv[1]))
with socket.socket(socket.AF_UNIX) as line:
    line.connect(sys.argv[2])
    line.sendall(sys.stdin.buffer.read())
    sys.stdout.buffer.write(b"".join(iter(lambda: line.recv(65536), b"")))
"""


async def ask_as(uid: int, engine: Served, method: str, path: str, body: dict[str, Any] | None) -> tuple[int, Any]:
    """Over the unix socket, as another user of this machine."""
    content = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: e\r\nConnection: close\r\nContent-Length: {len(content)}\r\n\r\n"
    ran = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-S", "-c", ASK_AS, str(uid), engine.client.address],
        input=head.encode() + content,
        capture_output=True,
        check=True,
    )
    top, _, rest = ran.stdout.partition(b"\r\n\r\n")
    return int(top.split()[1]), json.loads(rest)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can connect as another user")
async def test_the_kernel_says_who_asks_whatever_the_body_says(monkeypatch):
    roles = "roles: {operator: {users: [root]}, viewer: {users: [daemon]}}"
    async with served(monkeypatch, roles) as engine:
        release = await engine.begin()
        engine.client.folder.chmod(0o755)
        await asyncio.to_thread(Path(engine.client.address).chmod, 0o666)
        status, found = await ask_as(1, engine, "GET", "/v1/engine", None)
        assert (status, found["you"]["who"], found["you"]["roles"]) == (200, "daemon", ["viewer"])
        assert found["you"]["where"].startswith("pid ")
        order = {"verb": "pause", "id": "1", "who": "root"}
        status, found = await ask_as(1, engine, "POST", f"/v1/releases/{release}/orders", order)
        assert status == 403
        assert found["error"].startswith(f"daemon (viewer) may not pause {release}; an operator may: root")
        status, found = await ask_as(65534, engine, "GET", "/v1/releases", None)
        assert (status, found["error"].startswith("nobody (no role) may not look")) == (403, True)
        refused = [said.event for said in await engine.host.history(release, 0)][-1]
        assert (refused.who, refused.verb) == ("daemon", "pause")
        assert (await engine.client.order(release, "pause")).accepted, "root itself may"
