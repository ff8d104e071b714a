from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import events as ev
from engine.codec import decode, encode
from engine.judge import Counts, Sample
from tests.engine.release_driver import stored

FINITE = st.floats(allow_nan=False, allow_infinity=False)
WORDS = st.text(max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | FINITE | WORDS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=3,
)


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Anything that a field of this type may hold."""
    origin, args = get_origin(hint), get_args(hint)
    if isinstance(hint, type) and is_dataclass(hint):
        hints = get_type_hints(hint)
        return st.builds(hint, **{field.name: values(hints[field.name]) for field in fields(hint)})
    if origin is tuple:
        return st.lists(values(args[0]), max_size=2).map(tuple)
    if origin in (Union, UnionType):
        return st.one_of([st.none() if arg is NoneType else values(arg) for arg in args])
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return st.dictionaries(WORDS, values(args[1]), max_size=2)
    known: dict[Any, st.SearchStrategy[Any]] = {float: FINITE, str: WORDS, Any: JSON}
    return known[hint] if hint in known else st.from_type(hint)


@pytest.mark.parametrize("kind", ev.TYPES.values(), ids=ev.TYPES)
def test_every_event_comes_back_from_json_as_it_was(kind: type[ev.Event]) -> None:
    @settings(max_examples=10)
    @given(values(kind))
    def comes_back(event: ev.Event) -> None:
        assert stored(event) == event

    comes_back()


@dataclass(frozen=True)
class Known:
    here: int
    late: str = "the default"


def test_a_field_from_a_newer_version_is_left_out_and_a_missing_one_takes_its_default() -> None:
    assert decode(Known, {"here": 1, "of tomorrow": 2}) == Known(1)


def test_a_missing_field_without_a_default_is_an_error() -> None:
    with pytest.raises(TypeError, match="here"):
        decode(Known, {"late": "x"})


def test_an_event_of_a_newer_version_is_an_error() -> None:
    with pytest.raises(KeyError, match="Teleported"):
        ev.from_data("Teleported", 1.0, {})


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_json_has_no_word_for_is_nothing(number: float) -> None:
    data = json.loads(json.dumps(encode(Sample("m", number, Counts(value=number), None)), allow_nan=False))
    back = decode(Sample, data)
    assert math.isnan(back.seconds)
    assert back.stable == Counts(value=None)


def test_a_type_without_a_json_form_is_refused() -> None:
    @dataclass(frozen=True)
    class Odd:
        found: set[int]

    with pytest.raises(TypeError, match="no JSON form"):
        decode(Odd, {"found": [1]})
