"""Frozen dataclasses to JSON values and back, by their annotations.

The cockpit folds the same events as the engine and must start fast, so this is a page of our own and not pydantic
(100 ms to import). It knows what events are made of: dataclasses, enums, tuples, mappings, optionals, JSON values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")


def encode(value: Any) -> Any:
    """`value` as JSON can hold it. Numbers that JSON has no word for (NaN, infinities) become None."""
    return _encoder(cast("Any", type(value)))(value)


@cache
def _encoder(kind: Any) -> Callable[[Any], Any]:
    """By the value's own type: a tick has hundreds of values and comes at every look at every release."""
    if is_dataclass(kind):
        names = tuple(each.name for each in fields(kind))
        return lambda value: {name: encode(getattr(value, name)) for name in names}
    if issubclass(kind, Enum):
        return lambda value: value.value
    if issubclass(kind, float):
        return lambda value: value if math.isfinite(value) else None
    if issubclass(kind, Mapping):
        return lambda value: {str(key): encode(item) for key, item in value.items()}
    if issubclass(kind, list | tuple):
        return lambda value: [encode(item) for item in value]
    return lambda value: value


def decode(kind: type[T], data: Any) -> T:
    """The inverse of `encode`; fields unknown to this version are left out, missing ones take their defaults.

    Raises KeyError or TypeError when a field without a default is missing.
    """
    return cast("T", _decoder(cast("Any", kind))(data))


@cache
def _decoder(kind: Any) -> Callable[[Any], Any]:
    origin, args = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        return _dataclass_decoder(kind)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind
    if origin is tuple:
        item = _decoder(args[0])
        return lambda data: tuple(item(part) for part in data)
    if origin in (Union, UnionType) and NoneType in args:
        inner = _decoder(next(arg for arg in args if arg is not NoneType))
        return lambda data: None if data is None else inner(data)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        item = _decoder(args[1])
        return lambda data: {key: item(part) for key, part in data.items()}
    if kind is float:
        return lambda data: math.nan if data is None else float(data)
    if kind in (Any, str, int, bool) or origin is Literal:
        return lambda data: data
    raise TypeError(f"no JSON form for {kind}")


def _dataclass_decoder(kind: Any) -> Callable[[Any], Any]:
    hints = get_type_hints(kind)
    decoders = {f.name: _decoder(hints[f.name]) for f in fields(kind) if f.init}

    def decode_fields(data: Mapping[str, Any]) -> Any:
        return kind(**{name: decoders[name](part) for name, part in data.items() if name in decoders})

    return decode_fields
