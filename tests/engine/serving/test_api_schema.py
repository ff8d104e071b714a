"""The OpenAPI document is true: it is the one in docs/, and schemathesis finds no answer that it does not tell of."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi import checks

from engine.serving import openapi
from tests.engine.served import served
from tests.engine.serving.certificates import certify

WRITTEN = Path(__file__).parents[3] / "docs" / "openapi.json"


def test_the_document_in_docs_is_the_one_that_is_served():
    assert json.loads(WRITTEN.read_text()) == openapi(), "laneshift schema --openapi > docs/openapi.json"


async def test_the_document_is_served(monkeypatch):
    async with served(monkeypatch) as engine:
        assert await asyncio.to_thread(engine.client.ask, "GET", "/v1/openapi.json") == openapi()


def test_every_operation_says_what_can_go_wrong():
    for path, operations in openapi()["paths"].items():
        for method, operation in operations.items():
            assert {"401", "403", "500"} <= operation["responses"].keys(), (method, path)
            if method == "post" and path != "/v1/stop":
                assert {"413", "422"} <= operation["responses"].keys(), (method, path)
                assert operation["requestBody"]["required"]


# --- schemathesis

TOKEN = "token of a test"
RELEASE = "shop-1"


def _document() -> dict[str, Any]:
    """As served; the one release that there is can be guessed."""
    found = deepcopy(openapi())
    for operations in found["paths"].values():
        for operation in operations.values():
            for parameter in operation.get("parameters", ()):
                if parameter["name"] == "release":
                    parameter["schema"] = {"type": "string", "enum": [RELEASE]}
    return found


schema = schemathesis.openapi.from_dict(_document())
asked = schema.exclude(path_regex="/events$").exclude(path="/v1/stop")  # one never ends, one ends the engine
ANY_TEXT = {"start", "doctor", "prune"}  # most text is no plan and no duration: 422 is the answer to a right body


@dataclass
class Live:
    """An engine in a thread, with one release."""

    url: str
    http: requests.Session


@asynccontextmanager
async def _nothing() -> AsyncIterator[None]:
    """No signals in a thread."""
    yield


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("tls")
    certify(folder)
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    config = (
        f"tokens: [{{name: t, user: ann, roles: [viewer, operator, approver], sha256: {digest}}}]\n"
        f"listen: {{address: '127.0.0.1:0', certificate: {folder}/server.pem, key: {folder}/server.key}}\n"
    )
    found: list[Live] = []
    there, done = threading.Event(), threading.Event()

    async def run() -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("engine.serving.server.Server._signals", lambda _server: _nothing())
            async with served(patch, config) as engine:
                await engine.ready(await engine.begin())
                http = requests.Session()
                http.verify = str(folder / "ca.pem")
                found.append(Live(f"https://127.0.0.1:{engine.port}", http))
                there.set()
                await asyncio.to_thread(done.wait)

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert there.wait(30)
    yield found[0]
    found[0].http.close()
    done.set()
    thread.join()


@pytest.mark.real
@pytest.mark.timeout(300)
@asked.parametrize()
@settings(max_examples=40, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
def test_every_answer_is_one_that_the_document_tells_of(live: Live, case: schemathesis.Case):
    sent = {"Authorization": f"Bearer {TOKEN}"}
    answer = case.call(base_url=live.url, headers=sent, session=live.http, verify=live.http.verify)
    excluded = [checks.positive_data_acceptance] if case.operation.definition.raw["operationId"] in ANY_TEXT else []
    case.validate_response(answer, excluded_checks=excluded, headers=sent)
