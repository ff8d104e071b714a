from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.wire import (
    MAX_BODY,
    MAX_HEAD,
    BadMessageError,
    Framer,
    Message,
    Request,
    Response,
    keeps_alive,
    read_request,
    read_response,
    write_request,
    write_response,
)

STREAM = (
    b"POST /login HTTP/1.1\r\nHost: shop\r\nX-A:  b \r\ncontent-length: 5\r\n\r\nhello"
    b"GET /browse?page=2 HTTP/1.1\r\n\r\n"
    b"PUT /x HTTP/1.1\r\ncontent-length: 4\r\n\r\n\r\n\r\n"
)
header_values = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_messages_do_not_depend_on_how_the_stream_was_cut(cuts):
    edges = [0, *sorted(cuts), len(STREAM)]
    framer = Framer()
    messages = [message for start, end in pairwise(edges) for message in framer.feed(STREAM[start:end])]
    assert messages == [
        Message("POST /login HTTP/1.1", {"host": "shop", "x-a": "b", "content-length": "5"}, b"hello"),
        Message("GET /browse?page=2 HTTP/1.1", {}, b""),
        Message("PUT /x HTTP/1.1", {"content-length": "4"}, b"\r\n\r\n"),
    ]


@given(st.dictionaries(st.from_regex(r"x-[a-z]{1,9}", fullmatch=True), header_values), st.binary(max_size=300))
def test_a_request_arrives_as_it_was_sent(headers, body):
    data = write_request(Request("POST", "/checkout?a=b", headers, body), "127.0.0.1:1")
    (message,) = Framer().feed(data)
    arrived = read_request(message)
    assert (arrived.method, arrived.target, arrived.path, arrived.body) == ("POST", "/checkout?a=b", "/checkout", body)
    assert {name: arrived.headers[name] for name in headers} == headers
    assert arrived.headers["host"] == "127.0.0.1:1"


@given(st.integers(200, 599), st.binary(max_size=300))
def test_a_response_arrives_as_it_was_sent(status, body):
    data = write_response(Response(status, body, {"x-version": "v1"}), keep_alive=True)
    (message,) = Framer().feed(data)
    arrived = read_response(message)
    assert (arrived.status, arrived.body, arrived.headers["x-version"]) == (status, body, "v1")


def test_headers_of_one_connection_are_not_passed_on():
    sent = write_request(Request("GET", "/", {"connection": "close", "host": "evil", "x-kept": "1"}), "127.0.0.1:1")
    assert b"evil" not in sent
    assert b"connection" not in sent
    assert b"x-kept: 1\r\n" in sent


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nname : value\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\na: b\nhost: other\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\na: b\rc\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\na: \0\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\ncontent-length: -1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\ncontent-length: 1e3\r\n\r\n", 400),
        (f"GET / HTTP/1.1\r\ncontent-length: {MAX_BODY + 1}\r\n\r\n".encode(), 413),
        (b"GET / HTTP/1.1\r\ncontent-length: " + b"9" * 5000 + b"\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\na: " + b"b" * MAX_HEAD, 431),
    ],
)
def test_a_broken_head_is_refused(data, status):
    with pytest.raises(BadMessageError) as refused:
        Framer().feed(data)
    assert refused.value.status == status


@pytest.mark.parametrize(
    ("start", "status"),
    [("nonsense", 400), ("GET / HTTP/2", 400), ("GET http://other/ HTTP/1.1", 400), ("HEAD / HTTP/1.1", 501)],
)
def test_what_is_no_request_is_refused(start, status):
    with pytest.raises(BadMessageError) as refused:
        read_request(Message(start, {}, b""))
    assert refused.value.status == status


@pytest.mark.parametrize("start", ["", "HTTP/1.1", "HTTP/1.1 abc", "SSH-2.0-OpenSSH 200"])
def test_what_is_no_response_is_refused(start):
    with pytest.raises(BadMessageError):
        read_response(Message(start, {}, b""))


@pytest.mark.parametrize(
    ("protocol", "connection", "kept"),
    [("HTTP/1.1", "", True), ("HTTP/1.1", "Close", False), ("HTTP/1.0", "", False), ("HTTP/1.0", "keep-alive", True)],
)
def test_the_sender_says_whether_the_connection_is_kept(protocol, connection, kept):
    assert keeps_alive(Message(f"GET / {protocol}", {"connection": connection}, b"")) is kept


@pytest.mark.parametrize("body", [b"", b"[]", b"3", b"{", b"[" * 100_000, b"\xff"])
def test_a_body_that_is_no_json_object_is_none(body):
    assert Request("PUT", "/", {}, body).json_object() is None
