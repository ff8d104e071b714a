"""Numbers out of JSON: found where the plan says, or a doubt that says what stands there instead."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.judge.metric import Metric, Threshold
from engine.plan.model import parse_plan
from engine.plan.problem import PlanError
from engine.plan.questions import JsonPlace
from engine.plan.selector import Subject
from engine.secrets import Secrets
from engine.sources.config import HttpJsonConfig
from engine.sources.http_json import HttpJsonSource
from engine.sources.reading import Differences, Query, Reading
from tests.support.canned_http import NEVER, Canned, answered, canned

CANARY, STABLE = Subject("v2/b"), Subject("v1")


def metric(total: str = "/$version/sold", part: str = "/$version/paid", name: str = "paid") -> Query:
    judged = Metric(name, "good", (Threshold(0.9, above=False),))
    return Query(judged, total=JsonPlace.parse(total), part=JsonPlace.parse(part))


def page(**versions: Any) -> bytes:
    return answered(200, json.dumps({name.replace("_", "/"): value for name, value in versions.items()}).encode())


GOOD = page(v1={"sold": 100, "paid": 98}, v2_b={"sold": 10, "paid": 9.0})


@pytest.fixture
async def server() -> AsyncIterator[Canned]:
    async with canned() as told:
        yield told


@asynccontextmanager
async def source(server: Canned, **more: Any) -> AsyncIterator[HttpJsonSource]:
    config = HttpJsonConfig.model_validate({"url": f"{server.url}/stats", **more})
    made = HttpJsonSource(config, now=lambda: 123.0)
    try:
        yield made
    finally:
        await made.close()


async def look(server: Canned, *queries: Query, canary: Subject = CANARY, **more: Any) -> Reading:
    async with source(server, **more) as made:
        return await made.read(queries or (metric(),), canary=canary, stable=STABLE)


def numbers(reading: Reading, name: str = "paid") -> dict[str, float]:
    return {f"{side} {role}": sum(s.values()) for (of, side, role), s in reading.values.items() if of == name}


COUNTED = {"stable total": 100, "stable part": 98, "canary total": 10, "canary part": 9}


async def test_numbers_are_found_by_their_places(server: Canned) -> None:
    server.answers["/stats"] = GOOD
    reading = await look(server)
    assert (reading.at, reading.problem, reading.doubts) == (123.0, "", {})
    assert numbers(reading) == COUNTED
    assert [(method, path) for method, path, *_ in server.seen] == [("GET", "/stats")], "each address once"


async def test_an_address_of_its_own_for_each_side(server: Canned) -> None:
    server.answers["/stats/of?v=v1"] = answered(200, b'[{"n": 5, "ok": 4}]')
    server.answers["/stats/of?v=v2%2Fb"] = answered(200, b'[{"n": 3, "ok": 3}]')
    reading = await look(server, metric("/of?v=$version#/0/n", "/of?v=$version#/0/ok"))
    assert numbers(reading) == {"stable total": 5, "stable part": 4, "canary total": 3, "canary part": 3}


async def test_the_query_of_a_place_takes_the_place_of_the_addresses_own(server: Canned) -> None:
    server.answers["/stats?of=all"] = GOOD
    server.answers["/stats/more?v=v1"] = server.answers["/stats/more?v=v2%2Fb"] = answered(200, b'{"n": 1}')
    own = metric("/more?v=$version#/n", "/more?v=$version#/n", name="own")
    reading = await look(server, metric(), own, url=f"{server.url}/stats?of=all")
    assert (numbers(reading), set(numbers(reading, "own").values())) == (COUNTED, {1})


async def test_a_side_that_is_not_there_yet_is_nothing_and_no_doubt(server: Canned) -> None:
    server.answers["/stats"] = page(v1={"sold": 100, "paid": 98})
    reading = await look(server)
    assert (set(numbers(reading)), reading.doubts) == ({"stable total", "stable part"}, {})


async def test_an_address_that_is_not_there_is_a_side_that_is_not_there(server: Canned) -> None:
    server.answers["/stats/v1"] = answered(200, b'{"n": 5, "ok": 4}')
    reading = await look(server, metric("/$version#/n", "/$version#/ok"))
    assert (numbers(reading), reading.doubts) == ({"stable total": 5, "stable part": 4}, {})


@pytest.mark.parametrize(
    ("stats", "said"),
    [
        (page(v1={"sold": 1, "paid": 1}, v2_b={"sold": 3}), "canary has no /$version/paid where its other numbers are"),
        (page(v3={"sold": 1}), "there is no /$version/sold of any side: check the place"),
        (answered(404, b"gone"), "there is no /$version/sold of any side: check the place"),
        (page(v1={"sold": "12", "paid": 1}), '/$version/sold is "12" for stable, where one number is expected'),
        (page(v1={"sold": [1, 2], "paid": 1}), "/$version/sold is [1, 2] for stable"),
        (page(v1={"sold": {"eu": 1}, "paid": 1}), '/$version/sold is {"eu": 1} for stable'),
        (page(v1={"sold": None, "paid": 1}), "/$version/sold is null for stable"),
        (page(v1={"sold": True, "paid": 1}), "/$version/sold is true for stable"),
        (answered(200, b'{"v1": {"sold": NaN, "paid": 1}}'), "nan for stable's total"),
        (answered(200, b'{"v1": {"sold": 1e999, "paid": 1}}'), "inf for stable's total"),
        (answered(200, b'{"v1": {"sold": ' + b"9" * 400 + b', "paid": 1}}'), "inf for stable's total"),
        (page(v1={"sold": -3, "paid": 1}), "-3.0 for stable's total"),
        (answered(200, b'{"v1": {"sold": 1, "sold": 2, "paid": 1}}'), "a key stands twice"),
        (answered(200, b"<html>"), "answers no JSON"),
        (answered(200, b"[" * 100_000), "answers no JSON"),
        (answered(200, b"\xff"), "answers no JSON"),
        (answered(500, b"{}"), "answers HTTP 500"),
        (answered(302, b"", {"Location": "/elsewhere"}), "answers HTTP 302"),
        (answered(401, b"{}"), "refuses the credentials (HTTP 401)"),
        (b"SSH-2.0\r\n\r\n", "SSH-2.0"),
        (NEVER, "did not answer within 0.3 s"),
    ],
)
async def test_what_is_no_number_is_never_one(server: Canned, stats: bytes, said: str) -> None:
    server.answers["/stats"] = stats
    reading = await look(server, timeout="300ms" if stats is NEVER else "10s")
    [sample] = Differences((metric(),)).since_last(reading)
    assert (sample.stable, sample.canary) == (None, None)
    assert said in sample.problem


async def test_what_one_address_does_wrong_is_the_doubt_of_those_who_read_it(server: Canned) -> None:
    server.answers["/stats"] = GOOD
    server.answers["/stats/more"] = answered(503, b"")
    reading = await look(server, metric(), metric("/more#/$version", "/more#/$version", name="more"))
    assert (numbers(reading), list(reading.doubts), reading.problem) == (COUNTED, ["more"], "")


async def test_what_is_not_known_of_a_side_is_said(server: Canned) -> None:
    server.answers["/stats"] = GOOD
    reading = await look(server, metric(total="/$build/sold"))
    assert reading.doubts["paid"] == "$build of stable is not known: the router does not tell it"


@pytest.mark.parametrize("counts", ["since_start", "all_time"])
async def test_a_count_that_falls_was_a_restart_unless_it_is_of_all_time(server: Canned, counts: str) -> None:
    differences = Differences((metric(),))
    async with source(server, counts=counts) as made:
        for versions in ({"v1": (100, 98), "v2/b": (50, 50)}, {"v1": (110, 108), "v2/b": (4, 1)}):
            told = {name: {"sold": sold, "paid": paid} for name, (sold, paid) in versions.items()}
            server.answers["/stats"] = answered(200, json.dumps(told).encode())
            samples = differences.since_last(await made.read((metric(),), canary=CANARY, stable=STABLE))
    [sample] = samples
    if counts == "all_time":
        assert (sample.canary, sample.problem.partition(":")[0]) == (None, "canary's total fell from 50 to 4")
    else:
        assert sample.canary is not None
        assert (sample.canary.total, sample.canary.bad) == (4, 3)


async def test_a_token_in_a_file_is_read_anew(server: Canned, tmp_path: Path) -> None:
    secrets = Secrets(tmp_path)
    (tmp_path / "secrets").mkdir()
    token = tmp_path / "secrets" / "token"
    token.write_text("first-token")
    written = HttpJsonConfig.model_validate({"url": f"{server.url}/stats", "bearer_token": "${file:token}"})
    made = HttpJsonSource(secrets.resolve(written), renewed=lambda: secrets.resolve(written))
    for change in (lambda: token.write_text("second-token"), token.unlink, lambda: None):
        await made.read((metric(),), canary=CANARY, stable=STABLE)
        change()
    await made.close()
    shown = [head.lower().partition("authorization: bearer ")[2].splitlines()[0] for *_, head in server.seen]
    assert shown == ["first-token", "second-token", "second-token"]
    assert secrets.hide("it was second-token") != "it was second-token"


def test_an_address_holds_no_placeholder() -> None:
    text = """\
service: shop
router: {sandbox: {}}
source: {http_json: {url: "http://shop/$version"}}
metrics: {m: {total: /$version/a, bad: /$version/b, alert: "> 1%"}}
"""
    with pytest.raises(PlanError, match="without placeholders; they stand in a metric"):
        parse_plan(text.encode())
