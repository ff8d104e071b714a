"""The sandbox's router against gateways that answer well, badly, late or not at all."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from engine.routers import RouterConflict, RouterError, Write
from engine.routers import sandbox as module
from engine.routers.config import SandboxConfig
from engine.routers.sandbox import SandboxRouter
from tests.support.canned_http import NEVER, Canned, answered, canned

PATH = "/admin/route"
JSON = {"Content-Type": "application/json"}


def route(canary: object = 5, stable: object = 95, **changes: Any) -> dict[str, Any]:
    backends = {
        "shop-a": {"weight": stable, "version": "v1", "ready": 1, "url": "http://127.0.0.1:1"},
        "shop-b": {"weight": canary, "version": "v2", "ready": 1, "url": "http://127.0.0.1:2"},
    }
    mark = {"number": "1.2", "by": "laneshift", "release": "shop-1"}
    return {"route": "shop", "backends": backends, "mark": mark, "generation": 7, "owner": "", **changes}


def said(body: object, status: int = 200) -> bytes:
    return answered(status, json.dumps(body).encode(), JSON)


@pytest.fixture
async def gateway() -> AsyncIterator[Canned]:
    async with canned() as told:
        told.answers[PATH] = said(route())
        yield told


@pytest.fixture
async def router(gateway: Canned, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SandboxRouter]:
    monkeypatch.setattr(module, "TIME_LIMIT_S", 2.0)
    made = SandboxRouter(SandboxConfig.model_validate({"url": gateway.url}))
    yield made
    await made.close()


def write(weight: int = 25, generation: str | None = "7") -> Write:
    return Write("shop-1", "3.4", weight, generation)


async def test_it_observes_what_the_gateway_shows(router: SandboxRouter) -> None:
    seen = await router.observe()
    assert (seen.weight, seen.canary, seen.stable, seen.canary_ready) == (5.0, "v2", "v1", 1)
    assert (seen.generation, seen.mark, seen.by, seen.marked_release) == ("7", "1.2", "laneshift", "shop-1")


async def test_a_raise_is_compare_and_set_and_carries_its_number(router: SandboxRouter, gateway: Canned) -> None:
    await router.shift(write())
    [(method, path, body, _)] = gateway.seen
    assert (method, path) == ("PUT", PATH)
    assert json.loads(body) == {
        "weights": {"shop-a": 75, "shop-b": 25},
        "mark": {"number": "3.4", "by": "laneshift", "release": "shop-1"},
        "if_generation": 7,
    }


async def test_a_way_back_is_written_over_anything_and_reads_nothing_before(
    router: SandboxRouter, gateway: Canned
) -> None:
    await router.shift(write(0, None))
    [(_, _, body, _)] = gateway.seen
    assert "if_generation" not in json.loads(body)


async def test_a_changed_route_is_a_conflict(router: SandboxRouter, gateway: Canned) -> None:
    gateway.answers[PATH] = said({"error": "the route is at generation 9, not 7", **route()}, 409)
    with pytest.raises(RouterConflict, match="generation 9"):
        await router.shift(write())


BAD = {
    "refused by the gateway": said({"error": "the weights are 90 in all"}, 422),
    "not found": said({}, 404),
    "an error": answered(500, b"oops"),
    "a redirect": answered(302, b"{}", {"Location": "/elsewhere"}),
    "not JSON": answered(200, b"<html>", {"Content-Type": "text/html"}),
    "no object": said([1, 2]),
    "no object in conflict": said("changed", 409),
    "no backends": said({"route": "shop"}),
    "backends that are none": said({**route(), "backends": "none"}),
    "nothing": answered(200, b""),
    "not text": answered(200, b"\xff\xfe\x00", JSON),
    "cut short": b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{",
    "not http": b"SSH-2.0-OpenSSH\r\n\r\n",
}
BAD_TO_READ = {
    "no such backend": said({**route(), "backends": {"other": {}}}),
    "a backend that is none": said({**route(), "backends": {"shop-a": 1, "shop-b": 2}}),
    "a weight that is none": said(route(canary="many")),
    "a weight that is no number": answered(200, b'{"generation":1,"backends":{"shop-a":{"weight":NaN},"shop-b":{}}}'),
    "no weight": said({**route(), "backends": {"shop-a": {}, "shop-b": {}}}),
    "NaN": answered(200, json.dumps(route(canary=float("nan"))).encode()),
    "traffic elsewhere": said(route(canary=0, stable=40)),
    "no mark": said(route(mark=None)),
    "somebody else's": said(route(owner="argo")),
}


@pytest.mark.parametrize("answer", BAD)
async def test_a_write_that_is_answered_with_nonsense_is_an_error_and_says_where(
    router: SandboxRouter, gateway: Canned, answer: str
) -> None:
    gateway.answers[PATH] = BAD[answer]
    with pytest.raises(RouterError, match=gateway.url):
        await router.shift(write())


@pytest.mark.parametrize("answer", BAD | BAD_TO_READ)
async def test_a_reading_that_is_nonsense_is_an_error(router: SandboxRouter, gateway: Canned, answer: str) -> None:
    gateway.answers[PATH] = (BAD | BAD_TO_READ)[answer]
    with pytest.raises(RouterError):
        await router.observe()


@pytest.mark.parametrize("answer", BAD)
async def test_addresses_that_cannot_be_read_are_an_error(router: SandboxRouter, gateway: Canned, answer: str) -> None:
    gateway.answers[PATH] = BAD[answer]
    with pytest.raises(RouterError):
        await router.addresses()


async def test_addresses_are_those_of_both_sides_and_the_public_one(router: SandboxRouter, gateway: Canned) -> None:
    addresses = await router.addresses()
    assert addresses == {"canary": "http://127.0.0.1:2", "stable": "http://127.0.0.1:1", "public": gateway.url}


async def test_a_side_without_an_address_has_none(router: SandboxRouter, gateway: Canned) -> None:
    bare = route()
    del bare["backends"]["shop-b"]["url"]
    gateway.answers[PATH] = said(bare)
    assert "canary" not in await router.addresses()


async def test_a_gateway_that_does_not_answer_is_given_up(
    router: SandboxRouter, gateway: Canned, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TIME_LIMIT_S", 0.05)
    gateway.answers[PATH] = NEVER
    for ask in (router.observe, router.addresses, lambda: router.shift(write())):
        with pytest.raises(RouterError, match=r"did not answer within 0\.05 s"):
            await ask()


async def test_a_gateway_that_is_gone_is_an_error() -> None:
    async with canned() as gone:
        pass
    router = SandboxRouter(SandboxConfig.model_validate({"url": gone.url}))
    with pytest.raises(RouterError, match=gone.url):
        await router.observe()
    await router.close()
