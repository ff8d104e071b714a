"""The http check: it says yes only to an answer that proves where it came from."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from engine.checks import CheckResult, Place
from engine.checks import http as module
from engine.checks.config import HttpConfig
from engine.checks.http import HttpCheck
from engine.events import CheckOutcome
from tests.support.canned_http import NEVER, Canned, answered, canned

PASS, FAIL, ERROR = CheckOutcome.PASS, CheckOutcome.FAIL, CheckOutcome.ERROR


@pytest.fixture
async def service() -> AsyncIterator[Canned]:
    async with canned() as told:
        told.answers["/healthz"] = answered(200, b"all products", {"X-Version": "v2"})
        yield told


async def ask(service: Canned, **config: Any) -> CheckResult:
    check = HttpCheck("health", HttpConfig.model_validate({"path": "/healthz", **config}))
    addresses = dict.fromkeys(("canary", "stable", "public"), service.url)
    return await check.run(Place(addresses, canary="v2", stable="v1"))


async def test_an_answer_of_the_canary_as_expected_passes_with_its_evidence(service: Canned) -> None:
    result = await ask(service, contains="products", within="20s")
    assert result.outcome is PASS
    assert result.evidence["version"] == "v2"
    assert result.evidence["status"] == 200
    assert json.dumps(result.evidence)


async def test_its_request_is_marked_so_that_it_is_not_counted(service: Canned) -> None:
    await ask(service)
    [(method, path, _, head)] = service.seen
    assert (method, path) == ("GET", "/healthz")
    assert "x-laneshift-check: 1" in head.lower()


async def test_a_body_is_sent_as_json(service: Canned) -> None:
    await ask(service, method="POST", body={"user": "ada"})
    [(_, _, body, _)] = service.seen
    assert json.loads(body) == {"user": "ada"}


@pytest.mark.parametrize(
    ("target", "version", "outcome"),
    [
        ("canary", "v2", PASS),
        ("canary", "v1", ERROR),
        ("canary", "", ERROR),
        ("stable", "v1", PASS),
        ("stable", "v2", ERROR),
        ("public", "v1", PASS),
        ("public", "v2", PASS),
        ("public", "v3", ERROR),
    ],
)
async def test_the_version_must_be_the_one_that_was_meant(
    service: Canned, target: str, version: str, outcome: CheckOutcome
) -> None:
    service.answers["/healthz"] = answered(200, b"", {"X-Version": version} if version else {})
    assert (await ask(service, target=target)).outcome is outcome


async def test_an_error_page_of_something_in_between_is_no_answer_of_the_canary(service: Canned) -> None:
    service.answers["/healthz"] = answered(502, b"Bad Gateway")
    assert (await ask(service)).outcome is ERROR


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"expect": 204}, "204 expected"),
        ({"contains": "apples"}, "without the expected text"),
        ({"within": "0.001ms"}, "allowed"),
    ],
)
async def test_an_answer_of_the_canary_that_is_not_as_expected_fails(
    service: Canned, config: dict[str, Any], words: str
) -> None:
    result = await ask(service, **config)
    assert (result.outcome, words in result.summary) == (FAIL, True)


async def test_a_redirect_is_not_followed_to_somewhere_else(service: Canned) -> None:
    service.answers["/healthz"] = answered(302, b"", {"X-Version": "v2", "Location": f"{service.url}/other"})
    assert (await ask(service)).outcome is FAIL
    assert len(service.seen) == 1


@pytest.mark.parametrize(
    "answer",
    [NEVER, b"SSH-2.0\r\n\r\n", b"HTTP/1.1 200 OK\r\nX-Version: v2\r\nContent-Length: 99\r\n\r\n{"],
    ids=["no answer", "not http", "cut short"],
)
async def test_without_a_whole_answer_it_could_not_ask(
    service: Canned, answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TIME_LIMIT_S", 0.5)
    service.answers["/healthz"] = answer
    assert (await ask(service)).outcome is ERROR


async def test_a_canary_that_is_gone_could_not_be_asked() -> None:
    async with canned() as gone:
        pass
    result = await ask(gone)
    assert result.outcome is ERROR
    assert result.summary.startswith("GET /healthz: ")


async def test_without_an_address_it_could_not_be_asked() -> None:
    check = HttpCheck("health", HttpConfig.model_validate({"path": "/healthz"}))
    assert (await check.run(Place({}, "v2", "v1"))).outcome is ERROR


async def test_an_endless_answer_is_read_to_its_limit_only(service: Canned, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST_ANSWER", 1000)
    service.answers["/healthz"] = answered(200, b"x" * 2_000_000, {"X-Version": "v2"})
    result = await ask(service, contains="x" * 100)
    assert result.outcome is PASS
    assert len(result.evidence["answer"]) <= module.SHOWN
