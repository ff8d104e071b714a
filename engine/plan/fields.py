"""The kinds of values in a plan, for pydantic: what people write on the outside, numbers in base units inside.

Seconds for times, fractions for percentages. Each knows its description in the JSON Schema and how it is written back.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, PlainValidator, Strict, WithJsonSchema

from engine.plan.literal_secrets import REFERENCE
from engine.plan.selector import ALLOWED as SELECTOR_ALLOWED
from engine.plan.selector import Selector
from engine.plan.units import (
    DURATION_PATTERN,
    PERCENT_PATTERN,
    SIZE_PATTERN,
    NotUnderstoodError,
    parse_duration,
    parse_percent,
    parse_reading,
    show_duration,
    show_percent,
)


def _selector(written: object) -> Selector:
    if isinstance(written, Selector):
        return written
    if not isinstance(written, str):
        raise NotUnderstoodError(SELECTOR_ALLOWED)
    return Selector.parse(written)


def _line(written: str) -> str:
    if not written.isprintable() or not written.strip():
        raise NotUnderstoodError("one line of printable text")
    return written.strip()


def _matching(pattern: str, allowed: str) -> AfterValidator:
    """Text that must match; the pattern is in the JSON Schema, the sentence in the message."""

    def check(written: str) -> str:
        if not re.fullmatch(pattern, written):
            raise NotUnderstoodError(allowed)
        return written

    return AfterValidator(check)


def _url(written: str) -> str:
    allowed = "an address such as http://127.0.0.1:9090/metrics"
    if REFERENCE.search(written):
        return written
    try:
        parts = urlsplit(written)
        whole = parts.scheme in ("http", "https") and parts.hostname and (parts.port or True)
    except ValueError:
        whole = False
    if not whole or not written.isprintable() or re.search(r"\s", written):
        raise NotUnderstoodError(allowed)
    if parts.fragment:
        raise NotUnderstoodError(allowed, "without the part from # on, which no server sees")
    return written


NAME_PATTERN: Final = r"^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$"
METRIC_PATTERN: Final = r"^[a-z][a-z0-9_]{0,62}$"
VERSION_PATTERN: Final = r"^[A-Za-z0-9](?:[A-Za-z0-9._+:@/-]{0,199})$"
HEADER_PATTERN: Final = r"^[A-Za-z][A-Za-z0-9-]{0,63}$"

Duration = Annotated[
    float,
    PlainValidator(parse_duration),
    PlainSerializer(show_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN, "examples": ["90s", "15m", "1h30m"]}),
]
"""Seconds, written `90s`, `15m`, `250ms`."""

Percent = Annotated[
    float,
    PlainValidator(parse_percent),
    PlainSerializer(show_percent, return_type=str),
    WithJsonSchema({"type": "string", "pattern": PERCENT_PATTERN, "examples": ["0.1%", "98%"]}),
]
"""A fraction, written `0.1%`."""

Reading = Annotated[
    float,
    PlainValidator(parse_reading),
    WithJsonSchema(
        {"anyOf": [{"type": "number"}, {"type": "string", "pattern": SIZE_PATTERN}], "examples": [80, "2GiB"]}
    ),
]
"""A gauge's reading in its own unit; sizes become bytes."""

SelectorField = Annotated[
    Selector,
    PlainValidator(_selector),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "minLength": 1, "examples": ['requests_total{version="$version"}']}),
]

Whole = Annotated[int, Strict()]
Number = Annotated[
    float, Strict(), BeforeValidator(lambda written: float(written) if type(written) is int else written)
]
Switch = Annotated[bool, Strict()]
Text = Annotated[str, Strict()]

Line = Annotated[Text, Field(min_length=1, max_length=300), AfterValidator(_line)]
"""One line of text that a terminal can show."""

Url = Annotated[Text, Field(max_length=2000, json_schema_extra={"format": "uri"}), AfterValidator(_url)]

Name = Annotated[
    Text,
    _matching(NAME_PATTERN, "small letters, digits and hyphens, 63 at most, such as checkout or shop-api"),
    Field(json_schema_extra={"pattern": NAME_PATTERN}),
]
MetricName = Annotated[
    Text,
    _matching(METRIC_PATTERN, "small letters, digits and underscores, 63 at most, such as error_rate"),
    Field(json_schema_extra={"pattern": METRIC_PATTERN}),
]
VersionName = Annotated[
    Text,
    _matching(VERSION_PATTERN, "a version as the canary reports it, such as v2.0"),
    Field(json_schema_extra={"pattern": VERSION_PATTERN}),
]
HeaderName = Annotated[
    Text,
    _matching(HEADER_PATTERN, "the name of an HTTP header, such as X-Version"),
    Field(json_schema_extra={"pattern": HEADER_PATTERN}),
]


def one_or_more(written: Any) -> list[Any]:
    """A single value where a list may stand is a list of one."""
    return list(written) if isinstance(written, (list, tuple)) else [written]
