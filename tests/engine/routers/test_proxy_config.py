"""What a plan may write under haproxy and envoy: names and addresses go into commands and scripts."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from engine.routers.haproxy import HaproxyRouter
from engine.routers.proxy_config import EnvoyConfig, HaproxyConfig

SIDES = {"stable": {"servers": ["a"], "version": "v1"}, "canary": {"servers": ["b"], "version": "v2"}}
CLUSTERS = {"stable": {"cluster": "a", "version": "v1"}, "canary": {"cluster": "b", "version": "v2"}}


def haproxy(**changes: Any) -> HaproxyConfig:
    return HaproxyConfig.model_validate({"sockets": ["/run/haproxy.sock"], "backend": "shop", **SIDES, **changes})


def envoy(**changes: Any) -> EnvoyConfig:
    return EnvoyConfig.model_validate(
        {"admin": ["http://127.0.0.1:9901"], "runtime_key": "shop.split", **CLUSTERS, **changes}
    )


EVIL = ["a;b", "a\nb", "a\\b", "a b", "$(a)", "", "a'b", 'a"b', "a/b", "a&b"]


@pytest.mark.parametrize("name", EVIL)
def test_a_name_can_be_no_other_command(name: str) -> None:
    side = {"servers": [name], "version": "v1"}
    for build in (lambda: haproxy(backend=name), lambda: haproxy(stable=side), lambda: envoy(runtime_key=name)):
        with pytest.raises(ValidationError, match="letters, digits"):
            build()
    with pytest.raises(ValidationError, match="letters, digits"):
        envoy(canary={"cluster": name, "version": "v1"})


@pytest.mark.parametrize(
    "socket", ["run/a.sock", "/run/a,fork", "/run/a b", "tcp://a", "tcp://a:0", "tcp://a:99999", "EXEC:sh", "/run/$(a)"]
)
def test_a_socket_is_a_path_or_an_address(socket: str) -> None:
    with pytest.raises(ValidationError, match="stats socket"):
        haproxy(sockets=[socket])


@pytest.mark.parametrize("socket", ["/run/a.sock", "tcp://10.0.0.1:9999", "tcp://[::1]:9999", "tcp://lb-1.shop:9999"])
def test_sockets_as_people_have_them(socket: str) -> None:
    assert haproxy(sockets=[socket]).sockets == (socket,)


@pytest.mark.parametrize(
    "address",
    [
        "http://a:b@127.0.0.1:9901",
        "${env:ADMIN}",
        "http://a/?x=1",
        "http://a/'",
        "ftp://a",
        "http://a/$(id)",
        "http://a/`id`",
    ],
)
def test_an_admin_address_holds_no_secret_and_nothing_that_a_shell_reads(address: str) -> None:
    with pytest.raises(ValidationError):
        envoy(admin=[address])


def test_each_thing_is_named_once() -> None:
    for build in (
        lambda: haproxy(sockets=["/run/a", "/run/a"]),
        lambda: haproxy(canary=SIDES["stable"]),
        lambda: envoy(admin=["http://a", "http://a"]),
        lambda: envoy(canary=CLUSTERS["stable"]),
    ):
        with pytest.raises(ValidationError, match=r"once|another"):
            build()


def test_a_side_says_how_its_version_is_known() -> None:
    with pytest.raises(ValidationError, match="the addresses of its servers, or a `version`"):
        haproxy(stable={"servers": ["a"]})


async def test_one_target_is_the_same_however_a_plan_lists_its_sockets() -> None:
    routers = [HaproxyRouter(haproxy(sockets=names)) for names in (["/run/a", "/run/b"], ["/run/b", "/run/a"])]
    assert routers[0].target == routers[1].target == "haproxy shop at /run/a, /run/b"
    for router in routers:
        await router.close()
