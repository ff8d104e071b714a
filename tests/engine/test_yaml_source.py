"""Reading a plan's YAML: places of everything, faults of the writing, and nothing that text can do to the reader."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from engine.plan.problem import PlanError
from engine.plan.yaml_nodes import Mark
from engine.plan.yaml_source import MOST_BYTES, key_path, read_yaml


def fault_of(content: bytes) -> str:
    """The one fault that stops the reading."""
    with pytest.raises(PlanError) as error:
        read_yaml(content, "plan.yaml")
    return str(error.value)


def faults_in(text: str) -> list[str]:
    """The faults that the reader goes on after."""
    return [str(problem) for problem in read_yaml(text.encode(), "plan.yaml").problems]


def test_each_value_is_known_by_the_places_of_its_key_and_itself():
    located = read_yaml("# a plan\nservice: shop\nstages:\n  - {weight: 5}\n".encode("utf-8-sig"), "plan.yaml")
    assert located.data == {"service": "shop", "stages": [{"weight": 5}]}
    weight = located.places["stages", 0, "weight"]
    assert (weight.key, weight.value, weight.shown) == (Mark(4, 6), Mark(4, 14), "5")


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("5", 5),
        ("-1.5", -1.5),
        ("1e3", 1000.0),
        ("true", True),
        ("~", None),
        ("", None),
        ("on", "on"),
        ("yes", "yes"),
        ("12:30", "12:30"),
        ("1_000", "1_000"),
        ("010", "010"),
        ("0x10", "0x10"),
        ("2024-01-01", "2024-01-01"),
        ('"5"', "5"),
        ("1e999", "1e999"),
        ("9" * 5000, "9" * 5000),
        ("|\n  two\n  lines", "two\nlines"),
    ],
)
def test_scalars_are_what_they_look_like(written, value):
    assert read_yaml(f"key: {written}".encode(), "plan.yaml").data == {"key": value}


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "plan.yaml:1:1: found an empty file, allowed: a mapping"),
        (b"# nothing\n", "plan.yaml:1:1: found an empty file"),
        (b"\n- a\n", "plan.yaml:2:1: found a list, allowed: a mapping"),
        (b"hello", "plan.yaml:1:1: found hello, allowed: a mapping"),
        (b"a: b\nc: \xff\n", "plan.yaml:2:4: found the byte 0xff, allowed: text in UTF-8"),
        ("é: 1\nö: \x07".encode(), "plan.yaml:2:4: found the character U+0007"),
        (b"a: b: c", "plan.yaml:1:5: found a fault: mapping values"),
        (b"a: 'b", "plan.yaml:1:6: found unexpected end of stream"),
        (b"a: [1\n", "plan.yaml:2:1: found"),
        (b"a: 1\n---\nb: 2\n", "plan.yaml:2:1: found a second document, allowed: one plan in a file"),
        (b"a: !!python/object/apply:os.system [x]", "plan.yaml:1:4: found the tag tag:yaml.org,2002:python/object"),
        (b"a: !!str 5", "found the tag"),
        (b"a: *b", "plan.yaml:1:4: found *b, allowed: an anchor that stands above"),
        (b"a: &b [*b]", "plan.yaml:1:8: found *b inside &b itself"),
        (b"x" * (MOST_BYTES + 1), "plan.yaml: found 1,048,577 bytes, allowed: 1,048,576 bytes at most"),
        (b"a: " + b"[" * 200_000, "more than 40 levels of lists and mappings"),
        (b"a: " + b"{a: " * 200_000, "more than 40 levels of lists and mappings"),
        (b"a:\n" + b"- 1\n" * 50_000, "more than 20,000 values"),
    ],
)
def test_what_is_no_plan_at_all_stops_the_reading_with_its_place(content, fault):
    assert fault in fault_of(content)


def test_aliases_are_written_out_and_may_not_explode():
    assert read_yaml(b"a: &x [1]\nb: *x\n", "plan.yaml").data == {"a": [1], "b": [1]}
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 20))
    assert "more than 20,000 values, aliases written out" in fault_of(bomb.encode())
    deep = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 100))
    assert "more than 40 levels, aliases written out" in fault_of(deep.encode())


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: 1\nb: 2\na: 3\n", "plan.yaml:3:1: a: found the key again, allowed: each key once; first in line 1"),
        ("a:\n  b: 1\n  b: 1\n", "plan.yaml:3:3: a.b: found the key again"),
        ("? [a]\n: 1\n", "plan.yaml:1:3: found a list as a key, allowed: a word as a key"),
        ("a:\n  <<: {b: 1}\n", "plan.yaml:2:3: a: found <<, allowed: keys written out"),
        ("a: .nan", "plan.yaml:1:4: a: found .nan, allowed: a finite number"),
        ("a: -.inf", "plan.yaml:1:4: a: found -.inf, allowed: a finite number"),
        ("a: " + "x" * 10_001, "plan.yaml:1:4: a: found a text of 10,001 characters"),
        ("a: http://${HOST}/", "a: found http://${HOST}/, allowed: ${env:NAME} or ${file:PATH} as references"),
        ("? " + "x" * 201 + "\n: 1", "found a key of 201 characters"),
    ],
)
def test_other_faults_of_the_writing_are_collected(text, fault):
    assert any(fault in found for found in faults_in(text))


@pytest.mark.parametrize(
    "text",
    [
        "token: SECRET",
        "token: 'SECRET'",
        "notify: [{api-key: SECRET}]",
        "password: [SECRET, '${env:FINE}']",
        "authorization: {value: SECRET}",
        "password: 1234567",
        "a: xoxb-1234567-SECRET",
        "a: http://user:SECRET@host/",
        "a: http://user:1234567@host/",
        "ghp_SECRET1234567: 1",
        "a: *ghp_SECRET1234567",
        "a: !ghp_SECRET1234567 b",
        "a: &ghp_SECRET1234567 b\nc: *ghp_SECRET1234568",
        "password: SECRET\npassword: SECRET",
    ],
)
def test_a_secret_is_a_fault_that_does_not_repeat_it(text):
    try:
        located = read_yaml(text.encode(), "plan.yaml")
        said = "\n".join(map(str, located.problems)) + "".join(place.shown for place in located.places.values())
    except PlanError as error:
        said = str(error)
    assert "SECRET" not in said
    assert "1234567" not in said
    assert "secret" in said


def test_references_in_place_of_secrets_are_no_fault():
    assert (
        faults_in("token: ${env:TOKEN}\npassword: ${file:secret.txt}\nauthorization: Bearer ${env:TOKEN}\napi_key:\n")
        == []
    )


def test_the_slow_parser_is_no_substitute(monkeypatch):
    monkeypatch.setattr(yaml, "__with_libyaml__", False)
    assert "plan.yaml: found PyYAML without libyaml" in fault_of(b"a: 1")


def test_text_from_a_file_is_shown_without_what_a_terminal_obeys():
    located = read_yaml(b'a: "\\e[31mred\\u202e"', "plan.yaml")
    assert located.places["a",].shown.isprintable()
    assert "\x1b" not in located.places["a",].shown


@pytest.mark.parametrize(
    ("path", "shown"),
    [((), ""), (("stages", 1, "weight"), "stages[1].weight"), (("a", "b c"), 'a."b c"'), ((0,), "[0]")],
)
def test_paths_are_shown_as_people_name_them(path, shown):
    assert key_path(path) == shown


def is_read_or_refused(content: bytes) -> bool:
    """Does the reader give values with places, or say why not?"""
    try:
        located = read_yaml(content, "plan.yaml")
    except PlanError as error:
        return bool(error.problems)
    return isinstance(located.data, dict) and () in located.places


@given(st.text(alphabet=st.sampled_from("ab:{}[],-? &*!|>'\"%@`#<\n\t\r\\.0123~é\x85\x07\u2028"), max_size=60))
def test_no_text_does_more_than_be_refused(text):
    assert is_read_or_refused(text.encode())


@given(st.binary(max_size=40))
def test_no_bytes_do_more_than_be_refused(content):
    assert is_read_or_refused(content)
