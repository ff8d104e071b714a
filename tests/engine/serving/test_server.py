from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import tempfile
from contextlib import aclosing
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.client import Beat, EngineGone, EngineRefused, Said
from engine.journal.records import JournalUnavailable
from engine.release import VERBS
from engine.serving import SocketError, bind, own_folder
from engine.serving import stream as engine_stream
from engine.serving.bodies import LONGEST_BODY, LONGEST_START
from tests.engine.served import PLAN, Served, served


@pytest.fixture
async def engine(monkeypatch):
    async with served(monkeypatch) as running:
        yield running


@pytest.fixture
def short():
    with tempfile.TemporaryDirectory(prefix="ls-", dir="/tmp") as folder:
        yield Path(folder)


# --- the socket


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_socket_is_its_owners_from_its_first_moment(short, monkeypatch):
    seen = []
    listen = socket.socket.listen
    monkeypatch.setattr(socket.socket, "listen", lambda bound, n: (seen.append(mode(short / "s")), listen(bound, n)))
    before = os.umask(0o000)
    try:
        with bind(short / "s"):
            assert seen == [0o600]
        assert os.umask(0o000) == 0, "the process has its own mask again"
    finally:
        os.umask(before)


def test_a_socket_that_an_engine_left_behind_is_replaced(short):
    bind(short / "s").close()
    with bind(short / "s"), socket.socket(socket.AF_UNIX) as line:
        line.connect(str(short / "s"))


def test_a_path_too_long_for_a_socket_says_what_to_do(short):
    with pytest.raises(SocketError, match=r"too long for a socket .*LANESHIFT_HOME"):
        bind(short / ("x" * 100))


def test_a_socket_in_a_folder_that_is_not_there_says_why(short):
    with pytest.raises(SocketError, match="can't be bound: No such file"):
        bind(short / "nowhere" / "s")


def test_the_state_folder_is_made_private(short):
    own_folder(short / "new" / "home")
    assert mode(short / "new" / "home") == 0o700
    (short / "open").mkdir()
    (short / "open").chmod(0o755)
    own_folder(short / "open")
    assert mode(short / "open") == 0o700


def test_a_folder_that_is_everybodys_is_refused_and_left_as_it_is(short):
    short.chmod(0o1777)
    with pytest.raises(SocketError, match=r"shared with others.*LANESHIFT_HOME"):
        own_folder(short)
    assert mode(short) == 0o1777


# --- questions and orders


async def test_it_says_who_it_is(engine: Served):
    found = await asyncio.to_thread(engine.client.ask, "GET", "/v1/engine")
    assert found["pid"] == os.getpid()
    assert (found["notices"], found["releases"]) == ([], 0)


async def test_a_release_is_started_listed_and_looked_at(engine: Served):
    release = await engine.begin()
    seen = await engine.ready(release)
    assert (seen["release"], seen["service"], seen["phase"], seen["target"]) == ("shop-1", "shop", "preflight", "paper")
    assert (seen["stages"], seen["stable"], seen["weight"]) == ([5, 100], "v1", {"desired": 0, "observed": 0.0})
    assert seen["orders"] == ["advance", "cancel"]
    assert [one.release for one in await engine.client.releases()] == ["shop-1"]


async def test_a_start_with_the_same_key_attaches(engine: Served):
    first = await engine.begin(key="build 7")
    assert await engine.begin(key="build 7") == first
    with pytest.raises(EngineRefused, match=rf"{first} is under way on paper") as refused:
        await engine.begin(key="build 8")
    assert refused.value.status == 409


async def test_a_journal_that_takes_no_release_is_said_and_nothing_begins(engine: Served, monkeypatch):
    def full(*_: object, **__: object) -> int:
        raise JournalUnavailable("the disk is full")

    monkeypatch.setattr(engine.host.journal, "create_release", full)
    with pytest.raises(EngineRefused, match="takes no new release: the disk is full") as refused:
        await engine.begin()
    assert refused.value.status == 409
    assert await engine.client.releases() == []


async def test_a_question_that_the_journal_does_not_answer_is_to_be_asked_again(engine: Served, monkeypatch):
    def away() -> list[object]:
        raise JournalUnavailable("the database is away")

    monkeypatch.setattr(engine.host.journal, "releases", away)
    with pytest.raises(EngineRefused, match="the database is away: ask again") as refused:
        await asyncio.to_thread(engine.client.look, "shop-7")
    assert refused.value.status == 503


async def test_a_wrong_plan_is_answered_with_every_fault(engine: Served):
    wrong = PLAN.replace("weight: 5,", "weight: 500,").replace("interval", "intervall")
    with pytest.raises(EngineRefused) as refused:
        await asyncio.to_thread(engine.client.begin, wrong, "mine.yaml")
    assert refused.value.status == 422
    assert len(str(refused.value).splitlines()) >= 2
    assert all(line.startswith("mine.yaml:") for line in str(refused.value).splitlines())


async def test_a_roll_back_over_the_socket_brings_all_traffic_back(engine: Served):
    release = await engine.begin()
    seen = await engine.ready(release)
    assert (await engine.client.order(release, "advance", stage=-1, revision=seen["revision"])).accepted
    await engine.until(release, phase="stage", weight={"desired": 5, "observed": 5.0})
    assert (await engine.client.order(release, "rollback", reason="slow")).accepted
    seen = await engine.until(release, phase="rolled_back")
    assert (engine.route.weight, seen["weight"]["observed"]) == (0, 0.0)
    assert "slow" in seen["ending"]


async def test_a_target_that_another_plan_names_differently_is_known_by_its_mark(engine: Served):
    first = await engine.begin()
    engine.route.target, engine.route.marked, engine.route.engine = "papyrus", first, engine.host.identity
    with pytest.raises(EngineRefused, match=rf"{first} is under way on papyrus"):
        await engine.begin()


async def test_two_who_press_advance_at_once_advance_one_stage(engine: Served):
    release = await engine.begin()
    seen = await engine.ready(release)
    meant = {"stage": seen["stage"], "revision": seen["revision"]}
    answers = await asyncio.gather(*(engine.client.order(release, "advance", **meant) for _ in range(2)))
    assert sorted(answer.accepted for answer in answers) == [False, True]
    assert "stage" in next(answer.why for answer in answers if not answer.accepted)
    await engine.until(release, weight={"desired": 5, "observed": 5.0})
    assert engine.route.written == [5]


async def test_what_something_else_drives_is_watched_and_never_touched(engine: Served):
    release = await asyncio.to_thread(lambda: engine.client.begin(PLAN, "plan.yaml", observe=True))
    engine.route.weight = 5
    engine.route.generation += 1
    await engine.until(release, phase="stage", weight={"desired": 5, "observed": 5.0})
    refused = await engine.client.order(release, "rollback")
    assert not refused.accepted
    assert "only watched" in refused.why
    assert (await engine.client.order(release, "cancel")).accepted
    assert engine.route.written == []


async def test_an_order_repeated_counts_once(engine: Served):
    release = await engine.begin()
    order = json.dumps({"verb": "pause", "id": "mine", "who": "ann"}).encode()
    first = await engine.post(f"/v1/releases/{release}/orders", order)
    assert (first[0], first[1]["accepted"]) == (200, "pause")
    assert await engine.post(f"/v1/releases/{release}/orders", order) == first
    assert (await engine.post(f"/v1/releases/{release}/orders", order.replace(b"mine", b"other")))[0] == 409


async def test_an_unknown_release_is_404_and_says_which_there_are(engine: Served):
    release = await engine.begin()
    for ask in (engine.client.look, lambda name: engine.client.give(name, "pause")):
        with pytest.raises(EngineRefused, match=f"no release 'other-1'.*{release}") as refused:
            await asyncio.to_thread(ask, "other-1")
        assert refused.value.status == 404
    with pytest.raises(EngineRefused):
        _ = [heard async for heard in engine.client.events("other-1")]


ODD_NAMES = ["", "..", "a/b", "a b", "ä\u202e", "x\r\nHost: evil", "\x1b[31m", "\udcff", "?", "%2F"]


async def test_odd_names_are_unknown_releases(engine: Served):
    for name in ODD_NAMES:
        for ask in (engine.client.look, lambda name: engine.client.give(name, "pause")):
            with pytest.raises(EngineRefused) as refused:
                await asyncio.to_thread(ask, name)
            assert refused.value.status == 404, name


# --- what is not understood


async def test_paths_and_methods_that_are_not_there_are_answered_in_json(engine: Served):
    for request, status in [("GET /v2/releases", 404), ("DELETE /v1/releases", 405), ("GET /v1/stop", 405)]:
        got, body = await engine.raw(f"{request} HTTP/1.1\r\nHost: e\r\nConnection: close\r\n\r\n".encode())
        assert got == status
        assert body["error"]


async def test_a_body_too_long_is_refused_before_it_is_read_whole(engine: Served):
    for path, longest in (("/v1/doctor", LONGEST_BODY), ("/v1/releases", LONGEST_START)):
        status, body = await engine.post(path, b" " * (longest + 1))
        assert (status, body["error"]) == (413, f"{longest} bytes at most")


async def test_what_is_no_json_object_is_422(engine: Served):
    for body in (
        b"",
        b"{",
        b"[]",
        b"1",
        b"null",
        b"\xff",
        b"[" * 100_000,
        b'{"verb": ' + b"9" * 5000,
        b'{"id": "\\ud800"}',
    ):
        status, answer = await engine.post("/v1/releases", body)
        assert (status, answer["error"][:11]) == (422, "the body is"), body[:20]


WRONG_FIELDS = [
    ("verb", "explode"),
    ("verb", None),
    ("verb", "\x1b]0;x\x07"),
    ("id", 5),
    ("id", "x" * 501),
    ("who", ["ann"]),
    ("reason", "x" * 10_001),
    ("stage", "1"),
    ("stage", True),
    ("stage", 10**30),
    ("revision", 1.5),
    ("override", "yes"),
    ("asked_at", float("nan")),
    ("asked_at", float("inf")),
    ("asked_at", 10**400),
    ("asked_at", "now"),
]


async def test_a_wrong_field_of_an_order_is_422_and_named(engine: Served):
    release = await engine.begin()
    for field, value in WRONG_FIELDS:
        body = {"verb": "pause", "id": "mine", field: value}
        status, answer = await engine.post(f"/v1/releases/{release}/orders", json.dumps(body).encode())
        assert status == 422, (field, value)
        assert field in answer["error"] or "no order" in answer["error"]
        assert answer["error"].isprintable()


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
ORDERS = st.fixed_dictionaries(
    {},
    optional={
        "verb": st.sampled_from(VERBS) | ANYTHING,
        "id": st.text(min_size=1, max_size=8) | ANYTHING,
        "who": st.text() | ANYTHING,
        "reason": st.text() | ANYTHING,
        "stage": st.integers(-2, 3) | ANYTHING,
        "revision": st.text() | ANYTHING,
        "item": st.text() | ANYTHING,
        "override": st.booleans() | ANYTHING,
        "asked_at": st.floats() | ANYTHING,
    },
)


@given(bodies=st.lists(ORDERS.map(json.dumps).map(str.encode) | st.binary(max_size=50), max_size=8))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_body_makes_the_engine_fail(bodies):
    async def ask() -> None:
        with pytest.MonkeyPatch.context() as patch:
            async with served(patch) as engine:
                release = await engine.begin()
                for body in bodies:
                    for path in (f"/v1/releases/{release}/orders", "/v1/releases"):
                        status, answer = await engine.post(path, body)
                        assert status in (200, 409, 413, 422)
                        assert status == 200 or answer["error"]
                await engine.until(release)

    asyncio.run(ask())


async def test_a_fault_of_the_engines_own_is_500_in_json(engine: Served, monkeypatch, caplog):
    def broken() -> list[str]:
        raise ZeroDivisionError

    monkeypatch.setattr(engine.host, "ids", broken)
    with pytest.raises(EngineRefused, match=r"the engine failed .ZeroDivisionError.") as refused:
        await asyncio.to_thread(engine.client.held)
    assert refused.value.status == 500


# --- the stream


async def test_the_stream_has_the_whole_history_then_beats(engine: Served):
    release = await engine.begin()
    await engine.ready(release)
    numbers = []
    async for heard in engine.client.events(release):
        if isinstance(heard, Beat):
            assert heard.notices == ()
            break
        numbers.append(heard.seq)
    assert numbers
    assert numbers == list(range(1, len(numbers) + 1))


async def test_the_stream_goes_on_after_the_last_event_seen(engine: Served):
    release = await engine.begin()
    await engine.ready(release)
    async with aclosing(engine.client.events(release, after=1)) as stream:
        async for heard in stream:
            if isinstance(heard, Said):
                assert heard.seq == 2
                break
    transport = httpx.AsyncHTTPTransport(uds=engine.client.address)
    async with (
        httpx.AsyncClient(transport=transport) as http,
        http.stream("GET", f"http://e/v1/releases/{release}/events", headers={"Last-Event-ID": "1"}) as answer,
    ):
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        assert await anext(answer.aiter_lines()) == "id: 2"


async def test_a_place_in_the_stream_that_is_no_number_is_422(engine: Served):
    release = await engine.begin()
    for after in ("x", "-1", "²", "1.0", "9" * 40):
        path = httpx.Request("GET", f"http://e/v1/releases/{release}/events", params={"after": after}).url.raw_path
        request = f"GET {path.decode()} HTTP/1.1\r\nHost: e\r\nConnection: close\r\n\r\n"
        status, answer = await engine.raw(request.encode())
        assert (status, "number of the last event" in answer["error"]) == (422, True), after


async def test_what_happens_is_heard_by_all_and_once(engine: Served):
    release = await engine.begin()
    await engine.ready(release)

    async def listen() -> list[int]:
        heard = []
        async for one in engine.client.events(release):
            if isinstance(one, Said):
                heard.append(one.seq)
                if type(one.event).__name__ == "Noted":
                    return heard
        raise AssertionError("the stream ended")

    listeners = [asyncio.create_task(listen()) for _ in range(3)]
    await asyncio.sleep(0)
    assert (await engine.client.order(release, "note", reason="hello")).accepted
    heard = await asyncio.wait_for(asyncio.gather(*listeners), 20)
    assert all(one == list(range(1, len(one) + 1)) for one in heard)


async def test_a_client_that_stops_reading_is_cut_and_slows_nobody(engine: Served, monkeypatch, caplog):
    monkeypatch.setattr(engine_stream, "STUCK_S", 0.3)
    release = await engine.begin()
    await engine.ready(release)
    deaf_reader, deaf = await asyncio.open_unix_connection(engine.client.address, limit=1024)
    deaf.write(f"GET /v1/releases/{release}/events HTTP/1.1\r\nHost: e\r\n\r\n".encode())
    await deaf_reader.readexactly(20)
    deaf.transport.pause_reading()

    async def talk() -> None:
        while "cut" not in caplog.text:
            await engine.client.order(release, "note", reason="x" * 9000)
        await engine.client.order(release, "note", reason="last")

    talking = asyncio.create_task(talk())
    async with aclosing(engine.client.events(release)) as stream:
        async for heard in stream:
            if isinstance(heard, Said) and getattr(heard.event, "text", "") == "last":
                break
    await talking
    deaf.transport.resume_reading()
    rest = await asyncio.wait_for(deaf_reader.read(), 20)
    assert rest, "what was under way arrived, and then the end"
    assert not rest.endswith(b"0\r\n\r\n"), "cut, not ended"
    deaf.close()


async def test_streams_end_and_the_engine_goes_when_it_is_told_to_stop(engine: Served):
    release = await engine.begin()
    stream = engine.client.events(release)
    async for heard in stream:
        if isinstance(heard, Beat):
            break
    assert await asyncio.to_thread(engine.client.ask, "POST", "/v1/stop") == {"stopping": True}
    async with asyncio.timeout(10):
        assert [one async for one in stream if isinstance(one, Beat)] == []
        await engine.running
    with pytest.raises(EngineGone):
        await asyncio.to_thread(engine.client.held)
