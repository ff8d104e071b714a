"""Where an engine listens: a shared socket, its folder, probes, a renewed certificate; what comes with a start."""

from __future__ import annotations

import asyncio
import base64
import grp
import hashlib
import json
import os
import shutil
import ssl
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from engine.config import EngineConfig, parse_engine_config
from engine.serving import SocketError, bind, openapi
from engine.serving.listening import Certificate
from engine.serving.server import ServeOptions, _with
from engine.serving.sockets import SHARED, bind_address, socket_folder
from tests.engine.served import PLAN, Served, served
from tests.engine.serving.certificates import certify

OWN_GROUP = grp.getgrgid(os.getegid()).gr_name


@pytest.fixture
def short() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ls-", dir="/tmp") as folder:
        yield Path(folder)


def test_a_shared_socket_is_its_groups(short: Path):
    with bind(short / "s", SHARED, OWN_GROUP):
        found = (short / "s").stat()
    assert (stat.S_IMODE(found.st_mode), found.st_gid) == (0o660, os.getegid())
    with pytest.raises(SocketError, match=r"no group nobody-has-this.*groupadd"):
        bind(short / "s", SHARED, "nobody-has-this")


def test_an_engine_that_answers_keeps_its_socket(short: Path):
    with bind(short / "s"), pytest.raises(SocketError, match=r"another engine listens at .*stop it first"):
        bind(short / "s")


def test_a_folder_in_which_others_could_replace_the_socket_is_refused(short: Path):
    socket_folder(short / "run")
    assert stat.S_IMODE((short / "run").stat().st_mode) & 0o022 == 0
    for mode in (0o775, 0o777, 0o1777):
        (short / "run").chmod(mode)
        with pytest.raises(SocketError, match="others can replace a socket in"):
            socket_folder(short / "run")
    with pytest.raises(SocketError, match="can't be used: No such file"):
        socket_folder(short / "not" / "there")


def test_an_address_that_is_taken_says_so():
    with bind_address("127.0.0.1:0") as bound:
        port = bound.getsockname()[1]
        with pytest.raises(SocketError, match=f"127.0.0.1:{port} can't be bound"):
            bind_address(f"127.0.0.1:{port}")


def test_options_come_before_the_file():
    config = parse_engine_config(b"socket: {path: /run/laneshift/engine.sock, group: ops}")
    home = Path("/home/ann")
    default, chosen = ServeOptions(home / "engine.sock"), ServeOptions(home / "s", group="own", mode=SHARED)
    assert _with(config, default, home) == ServeOptions(Path("/run/laneshift/engine.sock"), group="ops", mode=SHARED)
    assert _with(config, chosen, home) == chosen
    assert _with(EngineConfig(), default, home) == default


async def test_probes_answer_plainly_and_give_nothing_else(monkeypatch):
    async with served(monkeypatch, "probes: '127.0.0.1:0'") as engine:
        host, port = engine.server.addresses["probes"]
        async with httpx.AsyncClient(base_url=f"http://{host}:{port}") as http:
            health = await http.get("/healthz")
            assert (health.status_code, "journal" in health.text) == (200, True)
            ready = await http.get("/readyz")
            assert (ready.status_code, ready.text) == (503, "the releases are being taken up\n")
            await engine.host.resume()
            assert (await http.get("/readyz")).status_code == 200
            metrics = await http.get("/metrics")
            assert metrics.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            assert "# TYPE" in metrics.text
            for path in openapi()["paths"]:
                assert (await http.get(path)).status_code == 404


def test_a_renewed_certificate_is_taken(tmp_path: Path):
    certify(tmp_path)
    held = Certificate(tmp_path / "server.pem", tmp_path / "server.key")
    assert held.context.minimum_version is ssl.TLSVersion.TLSv1_2
    (tmp_path / "server.pem").write_text("no certificate")
    with pytest.raises(OSError, match="PEM"):
        held.renew()
    certify(tmp_path)
    held.renew()


def file(name: str, content: bytes, digest: str = "") -> dict[str, str]:
    sha256 = digest or hashlib.sha256(content).hexdigest()
    return {"name": name, "sha256": sha256, "content": base64.b64encode(content).decode()}


async def start(engine: Served, *files: dict[str, str]) -> tuple[int, str]:
    body = {"plan": PLAN, "name": "plan.yaml", "files": files}
    status, answer = await engine.post("/v1/releases", json.dumps(body).encode())
    return status, answer.get("error", "")


async def test_files_that_come_with_a_start_are_what_their_hashes_say(monkeypatch):
    async with served(monkeypatch) as engine:
        wrong = {
            "a is not what its sha256 says": [file("a", b"x", "0" * 64)],
            "/etc/x is no path": [file("/etc/x", b"x")],
            "../x is no path": [file("../x", b"x")],
            "a is there twice": [file("a", b"x"), file("a", b"y")],
            "a is not base64": [{**file("a", b"x"), "content": "%"}],
            "a has more than": [file("a", b"x" * (1024 * 1024 + 1))],
            "all together": [file(name, name.encode() * 1_000_000) for name in "abc"],
        }
        for said, files in wrong.items():
            status, error = await start(engine, *files)
            assert (status, said in error) == (422, True), (said, error)
        assert await engine.client.releases() == []


async def test_pruning_needs_to_know_what_is_kept(monkeypatch):
    async with served(monkeypatch) as engine:
        release = await engine.begin()
        assert (await engine.post("/v1/prune", b"{}"))[0] == 409
        status, answer = await engine.post("/v1/prune", b'{"releases": "soon"}')
        assert (status, "releases" in answer["error"]) == (422, True)
        status, answer = await engine.post("/v1/prune", b'{"releases": "1s", "ticks": "1s"}')
        assert (status, answer) == (200, {"releases": [], "ticks": 0, "freed": 0, "dry_run": False})
        assert (await asyncio.to_thread(engine.client.look, release))["release"] == release


@pytest.mark.real
async def test_curl_with_a_token_rolls_back_over_tls(monkeypatch, tmp_path: Path):
    assert shutil.which("curl"), "curl is not installed"
    certify(tmp_path)
    digest = hashlib.sha256(b"secret").hexdigest()
    settings = (
        f"tokens: [{{name: ci, user: ann, roles: [operator], sha256: {digest}}}]\n"
        f"listen: {{address: '127.0.0.1:0', certificate: {tmp_path}/server.pem, key: {tmp_path}/server.key}}\n"
    )
    async with served(monkeypatch, settings) as engine:
        release = await engine.begin()
        seen = await engine.ready(release)
        await engine.client.order(release, "advance", stage=-1, revision=seen["revision"])
        await engine.until(release, phase="stage")
        url = f"https://127.0.0.1:{engine.port}/v1/releases/{release}/orders"
        order = json.dumps({"verb": "rollback", "id": "by-hand-1", "reason": "slow"})
        known = ("--cacert", str(tmp_path / "ca.pem"), "-H", "Authorization: Bearer secret")
        command = ("curl", "-sS", "--fail-with-body", *known, url, "-d", order)
        ran = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)
        assert (ran.returncode, json.loads(ran.stdout)["accepted"]) == (0, "rollback"), ran.stderr
        await engine.until(release, phase="rolled_back")
