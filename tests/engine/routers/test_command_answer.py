"""What `observe` prints: all that is taken, and everything that is not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.inputs import Observation
from engine.routers.command_answer import AnswerError, read_answer

WHOLE = {
    "weight": 5,
    "share": 9.1,
    "pending": "2 of 3 edges",
    "canary": "v2.0",
    "stable": "v1.9",
    "canary_ready": 1,
    "stable_ready": 10,
    "canary_asked": 1,
    "full": 10,
    "canary_build": "sha256:abc",
    "stable_build": "sha256:def",
    "canary_workload": "web-b",
    "stable_workload": "web-a",
    "generation": 17,
    "mark": "3.4",
    "by": "laneshift",
    "release": "web-7",
    "engine": "e1",
    "hand": "ana",
    "remark": "drained by hand",
    "addresses": {"canary": "http://127.0.0.1:8081"},
}


def same(value):
    return value


def read(text: str | bytes) -> Observation:
    return read_answer(text if isinstance(text, bytes) else text.encode(), same).observation()


def test_a_weight_is_enough():
    assert read('{"weight": 12.5}') == Observation(weight=12.5)


def test_all_of_an_observation_can_be_said():
    seen = read(json.dumps(WHOLE))
    said = {name: value for name, value in WHOLE.items() if name not in ("release", "addresses")}
    assert seen == Observation(**{**said, "weight": 5.0, "generation": "17", "marked_release": "web-7"})
    assert read_answer(json.dumps(WHOLE).encode(), same).addresses == {"canary": "http://127.0.0.1:8081"}


def read_or_refusal(printed: bytes) -> Observation | str:
    try:
        return read(printed)
    except AnswerError as error:
        return str(error)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no JSON"),
        ("5", "no JSON object"),
        ("[5]", "no JSON object"),
        ('{"weight": 5} and more', "no JSON: Extra data"),
        ("{'weight': 5}", "no JSON"),
        ('{"weight": NaN}', "no JSON: NaN is no number"),
        ('{"weight": -Infinity}', "no JSON: -Infinity is no number"),
        ('{"weight": 1e999}', "weight"),
        ('{"weight": 1' + "0" * 400 + "}", "too large"),
        ('{"weight": ' + "1" * 5000 + "}", "no JSON"),
        ("[" * 60_000, "no JSON"),
        ('{"weight": 5, "weight": 0}', "no JSON: a key twice"),
        ("{}", "weight: found nothing, allowed: a value, since it is required"),
        ('{"weight": null}', "weight: found nothing, allowed: a number"),
        ('{"weight": "5"}', "weight: found 5, allowed: a number"),
        ('{"weight": true}', "weight: found True, allowed: a number"),
        ('{"weight": 100.5}', "weight: found 100.5, allowed: 100 at most"),
        ('{"weight": -1}', "weight: found -1, allowed: 0 or more"),
        ('{"weight": 5, "wieght": 0}', "wieght: found an unknown key"),
        ('{"weight": 5, "canary_ready": 1.5}', "canary_ready: found 1.5, allowed: a whole number"),
        ('{"weight": 5, "canary_ready": -1}', "canary_ready: found -1, allowed: 0 or more"),
        ('{"weight": 5, "canary": "v2; rm -rf /"}', "canary: found v2; rm -rf /, allowed: letters, digits"),
        ('{"weight": 5, "generation": "-o"}', "generation: found -o, allowed: letters, digits"),
        ('{"weight": 5, "addresses": {"nobody": "http://127.0.0.1:1"}}', "addresses.nobody"),
        ('{"weight": 5, "addresses": {"canary": "file:///etc/passwd"}}', "addresses.canary"),
        (b"\xff\xfe", "no JSON"),
    ],
)
def test_anything_else_is_said_in_one_line(text, said):
    with pytest.raises(AnswerError) as error:
        read(text)
    assert said in str(error.value)
    assert str(error.value).isprintable()


def test_texts_for_people_are_shown_without_control_characters_and_bounded():
    seen = read(json.dumps({"weight": 5, "remark": "\x1b[31mred\x1b[0m\x07\nalert", "pending": "x" * 10_000}))
    assert seen.remark == "redalert"
    assert len(seen.pending) == 300


def test_secrets_are_hidden_before_anything_is_said():
    def hide(found):
        return json.loads(json.dumps(found).replace("hunter2", "***"))

    assert read_answer(b'{"weight": 5, "remark": "with hunter2"}', hide).remark == "with ***"
    with pytest.raises(AnswerError, match=r"canary: found \*\*\*") as error:
        read_answer(b'{"weight": 5, "canary": "hunter2"}', hide)
    assert "hunter2" not in str(error.value)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_whatever_is_printed_is_an_answer_or_one_line_of_why_not(printed):
    seen = read_or_refusal(printed)
    assert seen.isprintable() if isinstance(seen, str) else 0 <= seen.weight <= 100


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([*WHOLE, "other"]), json_values))
def test_whatever_json_is_printed_is_an_answer_or_one_line_of_why_not(found):
    seen = read_or_refusal(json.dumps(found).encode())
    texts = [seen] if isinstance(seen, str) else [getattr(seen, name) for name in Observation.__slots__]
    assert all(text.isprintable() for text in texts if isinstance(text, str))
