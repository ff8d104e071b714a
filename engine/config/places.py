"""Where an engine listens and keeps things: `listen`, `probes`, `socket`, `dead_man`, `retention` in engine.yaml."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Final
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema

from engine.config.people import OneName
from engine.plan.fields import Duration, Line, Text, Url
from engine.plan.literal_secrets import REFERENCE
from engine.plan.part import PlanPart
from engine.plan.units import BYTES, DURATION_PATTERN, NotUnderstoodError, parse_duration, show_duration

ADDRESS_PATTERN: Final = r"^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}$"
SIZE_PATTERN: Final = r"^(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,6})?(?:B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)$"
MOST_DAYS: Final = 3660
SMALLEST: Final = 10 * 1000**2  # bytes: less could not hold what one release needs


def split_address(address: str) -> tuple[str, int]:
    """`host:port` apart, an IPv6 host without its brackets."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _address(written: str) -> str:
    if not re.fullmatch(ADDRESS_PATTERN, written):
        hint = f"0.0.0.0{written} for all interfaces" if re.fullmatch(":[0-9]{1,5}", written) else ""
        raise NotUnderstoodError("host:port, such as 127.0.0.1:9464 or [::1]:9464", hint)
    if split_address(written)[1] > 65535:
        raise NotUnderstoodError("a port of 65535 at most")
    return written


def _days(written: object) -> float:
    """A time as in a plan, but years of days too."""
    days = re.fullmatch(r"([1-9][0-9]{0,3})d", written) if isinstance(written, str) else None
    if days is None or int(days[1]) > MOST_DAYS:
        return _some(parse_duration(written))
    return int(days[1]) * 86400.0


def _some(seconds: float) -> float:
    if seconds <= 0:
        raise NotUnderstoodError("more than 0s")
    return seconds


def _size(written: object) -> int:
    if type(written) is int:
        raise NotUnderstoodError("a size such as 500MB or 2GB", "a bare number has no unit")
    match = re.fullmatch(r"([0-9.]+)([A-Za-z]+)", written) if isinstance(written, str) else None
    if match is None or not re.fullmatch(SIZE_PATTERN, match[0]):
        raise NotUnderstoodError("a size such as 500MB or 2GB", "units are B, kB, MB, GB, TB, KiB, MiB, GiB and TiB")
    size = int(Decimal(match[1]) * BYTES[match[2]])
    if size < SMALLEST:
        raise NotUnderstoodError("10MB or more")
    return size


def show_size(size: int) -> str:
    """`2GB`, `10MiB`: the largest unit of which it is a whole number."""
    unit = max((unit for unit, of in BYTES.items() if size % of == 0), key=lambda unit: BYTES[unit])
    return f"{size // BYTES[unit]}{unit}"


def between(least: float, most: float) -> AfterValidator:
    """A time between two others, in seconds."""

    def check(written: float) -> float:
        if not least <= written <= most:
            raise NotUnderstoodError(f"{show_duration(least)} to {show_duration(most)}")
        return written

    return AfterValidator(check)


def _store(written: str) -> str:
    """Only the form: what the reader takes for a literal password it says itself."""
    allowed = "postgresql://USER@HOST/DATABASE, or ${env:NAME} or ${file:PATH} that holds it"
    if REFERENCE.fullmatch(written):
        return written
    if not re.match(r"postgresql://\S+$", written) or not written.isprintable():
        raise NotUnderstoodError(allowed, "without this key the journal is SQLite, in the state folder")
    return written


def has_literal_password(store: str) -> bool:
    """Does this address hold a password among its parameters, which the reader does not look at?"""
    try:
        parameters = parse_qsl(urlsplit(store).query)
    except ValueError:
        return True
    return any(name in ("password", "sslpassword") and REFERENCE.sub("", value) for name, value in parameters)


Address = Annotated[
    Text,
    AfterValidator(_address),
    Field(json_schema_extra={"pattern": ADDRESS_PATTERN, "examples": ["127.0.0.1:9464"]}),
]
Days = Annotated[
    float,
    PlainValidator(_days),
    PlainSerializer(show_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN, "examples": ["30d", "400d"]}),
]
Size = Annotated[
    int,
    PlainValidator(_size),
    PlainSerializer(show_size, return_type=str),
    WithJsonSchema({"type": "string", "pattern": SIZE_PATTERN, "examples": ["500MB", "2GB"]}),
]
StoreUrl = Annotated[Text, Field(max_length=2000), AfterValidator(_store)]


class Listen(PlanPart):
    """Where people with a token reach the engine, by TLS."""

    address: Address = Field(description="Where it listens; `0.0.0.0` is every interface.")
    certificate: Line = Field(description="File with the certificate and those between it and its root, as PEM.")
    key: Line = Field(description="File with its private key, as PEM; nobody else may read it.")


class SocketPlace(PlanPart):
    """The engine's unix socket."""

    path: Line | None = Field(default=None, description="Where it is, when not in the state folder.")
    group: OneName | None = Field(
        default=None, description="Who may open it beside the engine's own user; then its mode is 0660, else 0600."
    )


class DeadMan(PlanPart):
    """An address that hears from the engine as long as it lives: who hears nothing any more raises the alarm."""

    url: Url = Field(description="What is asked by GET; it may be `${file:PATH}`.")
    every: Annotated[Duration, between(1.0, 3600.0)] = Field(default=60.0, description="How often.")


class Retention(PlanPart):
    """What the journal keeps of releases that have ended. A release that runs is never touched."""

    ticks: Days | None = Field(default=None, description="How long each look is kept; summaries per minute stay.")
    releases: Days | None = Field(default=None, description="How long a release is kept.")
    size: Size | None = Field(
        default=None,
        description="How large the journal may be; over it ended releases lose their looks, then the oldest go.",
    )
