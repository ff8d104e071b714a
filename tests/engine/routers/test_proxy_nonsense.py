"""What the routers of proxies make of answers that no proxy gives, and of none."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.contract.routers import write
from engine.routers import RouterError, haproxy_cli
from engine.routers import envoy as envoy_module
from engine.routers.envoy import EnvoyRouter
from engine.routers.envoy_admin import answer_of
from engine.routers.haproxy import HaproxyRouter
from engine.routers.haproxy_cli import ask, servers_of
from engine.routers.proxy_config import EnvoyConfig, HaproxyConfig
from tests.support.canned_http import NEVER, Canned, answered, canned

INFO = "Version: 2.8.1\nPid: 7\nStart_time_sec: 1\n"
COLUMNS = "srv_name srv_op_state srv_admin_state srv_uweight srv_iweight srv_check_state"
STATE = f"1\n# {COLUMNS}\na 2 0 100 100 6\nb 2 0 0 0 6\n"


class Socket:
    """A stats socket whose answer a test writes; `heard` is what it was told."""

    def __init__(self, path: Path) -> None:
        self.path, self.says, self.heard = str(path), b"", ""
        self.waits = False

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heard = (await reader.readline()).decode()
        writer.write(self.says)
        if self.waits:
            await reader.read()
        writer.close()


@pytest.fixture
async def socket(tmp_path: Path) -> AsyncIterator[Socket]:
    made = Socket(tmp_path / "s")
    server = await asyncio.start_unix_server(made.talk, made.path)
    yield made
    server.close()
    await server.wait_closed()


def haproxy(path: str) -> HaproxyRouter:
    sides = {name: {"servers": [server], "version": name} for name, server in (("stable", "a"), ("canary", "b"))}
    return HaproxyRouter(HaproxyConfig.model_validate({"sockets": [path], "backend": "shop", **sides}))


async def test_haproxy_that_answers_well_is_read(socket: Socket) -> None:
    socket.says = f"{INFO}\n{STATE}\nVariable not found.\n\n".encode()
    router = haproxy(socket.path)
    seen = await router.observe()
    assert (seen.weight, seen.canary_ready, seen.canary, seen.stable, seen.mark) == (0, 1, "canary", "stable", "")
    assert socket.heard == "show info;show servers state shop;get var proc.laneshift_shop\n"
    await router.close()


NONSENSE = {
    "nothing": b"",
    "something else": b"SSH-2.0-OpenSSH\r\n\r\n",
    "one answer of three": b"Pid: 7\n\n",
    "another version of the state": f"{INFO}\n2\n# {COLUMNS}\n\n\n".encode(),
    "a state without weights": f"{INFO}\n1\n# srv_name\na\nb\n\nx\n\n".encode(),
    "a weight that is none": f"{INFO}\n{STATE.replace('100', 'many')}\nx\n\n".encode(),
    "no text": b"\xff\xfe\n\n\n\n",
}


@pytest.mark.parametrize("answer", NONSENSE)
async def test_nonsense_from_haproxy_is_an_error_and_says_where(socket: Socket, answer: str) -> None:
    socket.says = NONSENSE[answer]
    router = haproxy(socket.path)
    with pytest.raises(RouterError, match=socket.path):
        await router.observe()
    await router.close()


@pytest.mark.parametrize("says", [b"No such server.\n\n\n\n\n", b"\n\nUnknown command.\n\n\n", b"\n"])
async def test_a_write_that_haproxy_did_not_take_is_an_error(socket: Socket, says: bytes) -> None:
    socket.says = says
    router = haproxy(socket.path)
    with pytest.raises(RouterError, match=f"0 of 1 took it; {socket.path}"):
        await router.shift(write(0))
    await router.close()


async def test_a_way_back_gives_stable_its_weight_before_the_canary_loses_it(socket: Socket) -> None:
    socket.says = b"\n\n\n\n"
    router = haproxy(socket.path)
    await router.shift(write(0, None, "1.2"))
    assert socket.heard == (
        "set server shop/a weight 100;set server shop/b weight 0;experimental-mode on;"
        "set var proc.laneshift_shop str(laneshift/contract-1/1.2/engine-a/0)\n"
    )
    await router.close()


async def test_haproxy_that_says_half_and_waits_is_given_up(socket: Socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(haproxy_cli, "LIMIT_S", 0.05)
    socket.says, socket.waits = b"Pid: 7\n", True
    with pytest.raises(RouterError, match=r"did not answer within 0\.05 s"):
        await ask(socket.path, "show info")


async def test_haproxy_over_tcp_is_the_same() -> None:
    made = Socket(Path("unused"))
    made.says = b"Pid: 7\n\n"
    server = await asyncio.start_server(made.talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    assert await ask(f"tcp://127.0.0.1:{port}", "show info") == ["Pid: 7"]
    server.close()
    await server.wait_closed()
    with pytest.raises(RouterError, match=f"tcp://127.0.0.1:{port}"):
        await ask(f"tcp://127.0.0.1:{port}", "show info")


def test_servers_are_read_by_the_names_of_the_columns() -> None:
    servers = servers_of(STATE + "c 0 0 10 20 0\nd 2 8 10 20 2\n")
    assert [(one.name, one.weight, one.initial, one.up, one.checked) for one in servers.values()] == [
        ("a", 100, 100, True, True),
        ("b", 0, 0, True, True),
        ("c", 10, 20, False, False),
        ("d", 10, 20, False, False),
    ]


# --- Envoy

GOOD = {
    "/runtime?format=json": {"entries": {}},
    "/clusters?format=json&filter=^(new|old)$": {"cluster_statuses": []},
    "/config_dump?mask=last_updated": {"configs": [{"@type": "x.BootstrapConfigDump", "last_updated": "now"}]},
    "/config_dump?mask=static_route_configs,dynamic_route_configs": {
        "configs": [
            {
                "weighted_clusters": {
                    "runtime_key_prefix": "split",
                    "clusters": [{"name": "old", "weight": 100}, {"name": "new"}],
                }
            }
        ]
    },
}


@pytest.fixture
async def admin() -> AsyncIterator[Canned]:
    async with canned() as told:
        told.answers = {path: answered(200, json.dumps(body).encode()) for path, body in GOOD.items()}
        yield told


@pytest.fixture
async def envoy(admin: Canned) -> AsyncIterator[EnvoyRouter]:
    sides = {name: {"cluster": cluster, "version": name} for name, cluster in (("stable", "old"), ("canary", "new"))}
    router = EnvoyRouter(EnvoyConfig.model_validate({"admin": [admin.url], "runtime_key": "split", **sides}))
    yield router
    await router.close()


async def test_envoy_that_answers_well_is_read(envoy: EnvoyRouter) -> None:
    """A cluster without a weight has 0: proto3 leaves zeros out."""
    seen = await envoy.observe()
    assert (seen.weight, seen.canary_ready, seen.canary_workload, seen.pending) == (0, 0, "new", "")


BAD = {
    "an error": answered(500, b"oops"),
    "not JSON": answered(200, b"<html>"),
    "a list": answered(200, b"[1]"),
    "an empty object": answered(200, b"{}"),
    "nulls": answered(200, b'{"entries": null, "cluster_statuses": [null], "configs": [null]}'),
    "a weight that is none": answered(
        200, b'{"entries": {"split.new": {"final_value": "many"}}, "cluster_statuses": [{}], "configs": [{}]}'
    ),
    "not text": answered(200, b"\xff\xfe"),
    "not http": b"SSH-2.0-OpenSSH\r\n\r\n",
}


@pytest.mark.parametrize("answer", BAD)
async def test_nonsense_from_envoy_is_an_error_and_says_where(admin: Canned, envoy: EnvoyRouter, answer: str) -> None:
    admin.answers = dict.fromkeys(GOOD, BAD[answer])
    with pytest.raises(RouterError, match=admin.url):
        await envoy.observe()


async def test_envoy_that_does_not_answer_is_given_up(
    admin: Canned, envoy: EnvoyRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(envoy_module, "LIMIT_S", 0.05)
    admin.answers = dict.fromkeys(GOOD, NEVER)
    with pytest.raises(RouterError, match=r"did not answer within 0\.05 s"):
        await envoy.observe()


TAKEN = "/runtime_modify?split.old=100&split.new=0&laneshift.split=laneshift/contract-1/1.1/engine-a/0"


async def test_a_way_back_is_one_request_with_both_weights_and_the_mark(admin: Canned, envoy: EnvoyRouter) -> None:
    admin.answers[TAKEN] = answered(200, b"OK\n")
    assert await envoy.shift(write(0)) == "1 of 1 took it"
    assert [(method, path) for method, path, _, _ in admin.seen] == [("POST", TAKEN)]


@pytest.mark.parametrize("answer", [BAD["an error"], BAD["not http"], b"x"])
async def test_a_write_that_envoy_did_not_take_is_an_error(admin: Canned, envoy: EnvoyRouter, answer: bytes) -> None:
    admin.answers[TAKEN] = answer
    with pytest.raises(RouterError, match=f"0 of 1 took it; {admin.url} answered"):
        await envoy.shift(write(0))


def test_an_answer_is_put_together_from_its_chunks() -> None:
    head = b"HTTP/1.1 503 Service Unavailable\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert answer_of(head + b"9\r\nNo admin \r\nf\r\nlayer specified\r\n0\r\n\r\n") == (503, "No admin layer specified")
    for nonsense in (b"", b"SSH-2.0", head + b"99\r\nhalf"):
        with pytest.raises(ValueError, match="no HTTP"):
            answer_of(nonsense)
