"""Quantities as people write them: `15m`, `0.1%`, `250ms`, `2GiB`, `> 2x baseline`. Read and shown; nothing else.

Every `show_*` is the inverse of its `parse_*`: parsing what was shown gives the same number. The patterns are what the
JSON Schema of a plan offers to editors (ECMA 262 and Python read them alike).
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Literal

from engine.judge.metric import Kind, Threshold

NUMBER = r"(?:0|[1-9][0-9]{0,8})(?:\.[0-9]{1,6})?"  # 15 digits at most: a float shows them as they were written
READING = r"-?[0-9]{1,25}(?:\.[0-9]{1,25})?"  # any float that a size becomes

DURATION_PATTERN = rf"^(?=.)(?:{NUMBER}d)?(?:{NUMBER}h)?(?:{NUMBER}m)?(?:{NUMBER}s)?(?:{NUMBER}ms)?(?:{NUMBER}us)?$"
PERCENT_PATTERN = rf"^{NUMBER}%$"
SIZE_PATTERN = rf"^{NUMBER}(?:B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)$"

DURATION_ALLOWED = "a time with its unit, such as 500ms, 90s, 15m or 1h30m"
PERCENT_ALLOWED = "a percentage, such as 0.1% or 98%"
READING_ALLOWED = "a number, or a size such as 512MiB"

LONGEST_S = 366 * 86400.0
MICROSECONDS = {
    "d": 86_400_000_000,
    "h": 3_600_000_000,
    "m": 60_000_000,
    "s": 1_000_000,
    "ms": 1_000,
    "us": 1,
}
BYTES = {
    "B": 1,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}

_DURATION = re.compile(DURATION_PATTERN)
_PART = re.compile(rf"({NUMBER})(ms|us|[dhms])")
_PERCENT = re.compile(rf"^({NUMBER})%$")
_SIZE = re.compile(rf"^({NUMBER})([A-Za-z]+)$")
_LINE = re.compile(r"^([<>]) *(.+)$")
_RELATIVE = re.compile(rf"^({NUMBER}) *x +baseline$")


class NotUnderstoodError(ValueError):
    """A value that can't be read; `allowed` says what can, `hint` how to mend this one."""

    def __init__(self, allowed: str, hint: str = "") -> None:
        super().__init__(f"allowed: {allowed}" + (f" ({hint})" if hint else ""))
        self.allowed = allowed
        self.hint = hint


def _text(written: object, allowed: str, example: str) -> str:
    """`written` if it is text; a bare number where a unit is needed is refused with that reason."""
    if isinstance(written, bool) or not isinstance(written, (str, int, float)):
        raise NotUnderstoodError(allowed)
    if not isinstance(written, str):
        raise NotUnderstoodError(allowed, f"a bare number has no unit: write {example}")
    return written.strip()


# --- durations and latencies: seconds


def parse_duration(written: object) -> float:
    """Seconds of `1h30m`, `90s`, `500ms`; units from large to small, each once; from 1us to 366d.

    Raises NotUnderstoodError.
    """
    example = f"{written:g}s" if isinstance(written, (int, float)) and math.isfinite(written) else "15m"
    text = _text(written, DURATION_ALLOWED, example)
    if not _DURATION.match(text):
        raise NotUnderstoodError(DURATION_ALLOWED, _duration_hint(text))
    total = sum((Decimal(number) * MICROSECONDS[unit] for number, unit in _PART.findall(text)), Decimal(0))
    if total != total.to_integral_value():
        raise NotUnderstoodError(DURATION_ALLOWED, "the finest step is 1us")
    if total > Decimal(LONGEST_S) * 1_000_000:
        raise NotUnderstoodError(DURATION_ALLOWED, f"{show_duration(LONGEST_S)} at most")
    return int(total) / 1_000_000


def _duration_hint(text: str) -> str:
    if re.fullmatch(NUMBER, text):
        return f"a bare number has no unit: write {text}s"
    if re.search(r"[A-Z]|min|sec|hour|day| ", text):
        return "units are d, h, m, s, ms and us, without spaces"
    return ""


def show_duration(seconds: float) -> str:
    """The shortest usual writing: `15m`, `1h30m`, `1m30s`, `1.5s`, `250ms`, `0s`."""
    left = round(seconds * 1_000_000)
    if left < 1_000_000:
        unit = "s" if left == 0 else "ms" if left >= 1_000 else "us"
        return f"{_plain(Decimal(left) / MICROSECONDS[unit])}{unit}"
    shown = ""
    for unit in ("d", "h", "m"):
        count, left = divmod(left, MICROSECONDS[unit])
        shown += f"{count}{unit}" if count else ""
    return shown + (f"{_plain(Decimal(left) / 1_000_000)}s" if left else "")


# --- percentages: fractions


def parse_percent(written: object) -> float:
    """The fraction of `0.1%`: 0.001. From 0% to 100%. Raises NotUnderstoodError."""
    example = f"{written:g}%" if isinstance(written, (int, float)) and math.isfinite(written) else "5%"
    match = _PERCENT.match(_text(written, PERCENT_ALLOWED, example))
    if not match or Decimal(match[1]) > 100:
        raise NotUnderstoodError(PERCENT_ALLOWED, "100% at most" if match else "")
    return float(Decimal(match[1]) / 100)


def show_percent(fraction: float) -> str:
    """`0.1%` for 0.001."""
    return f"{_plain(Decimal(repr(float(fraction))) * 100)}%"


# --- readings of a gauge: the reading's own unit


def parse_reading(written: object) -> float:
    """A gauge's value: a plain number, as a number or as text, or a size in bytes (`2GiB`).

    Raises NotUnderstoodError.
    """
    if isinstance(written, (int, float)) and not isinstance(written, bool):
        return _finite(float(written))
    if not isinstance(written, str):
        raise NotUnderstoodError(READING_ALLOWED)
    text = written.strip()
    if re.fullmatch(READING, text):
        return float(text)
    match = _SIZE.match(text)
    if not match or match[2] not in BYTES:
        raise NotUnderstoodError(
            READING_ALLOWED, "sizes end in B, kB, MB, GB, TB, KiB, MiB, GiB or TiB" if match else ""
        )
    return float(Decimal(match[1]) * BYTES[match[2]])


def show_reading(reading: float) -> str:
    """`80`, `0.8`."""
    return _plain(Decimal(repr(float(reading))))


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise NotUnderstoodError(READING_ALLOWED)
    return number


# --- thresholds

UNITS = {
    "bad": (parse_percent, show_percent, "> 0.5%", "> 2x baseline"),
    "good": (parse_percent, show_percent, "< 96%", "< 0.98x baseline"),
    "latency": (parse_duration, show_duration, "> 250ms", "> 1.5x baseline"),
    "gauge": (parse_reading, show_reading, "> 80", "> 1.5x baseline"),
}
WORSE = {
    "bad": "bad events are worse when there are more",
    "good": "good events are worse when there are fewer",
    "latency": "a latency is worse when it is longer",
}


def parse_threshold(written: object, kind: Kind) -> Threshold:
    """The line of a metric of this kind: `> 0.5%`, `< 96%`, `> 250ms`, `> 80`, `> 2x baseline`.

    A line on the side where the metric gets better is refused: it would fire on every healthy release.
    Raises NotUnderstoodError.
    """
    parse, _, absolute, relative = UNITS[kind]
    allowed = f'a line such as "{absolute}" or "{relative}"'
    match = _LINE.match(_text(written, allowed, f'"{absolute[0]} ..." with the unit'))
    if not match:
        raise NotUnderstoodError(allowed, "a line begins with > or <")
    above, quantity = match[1] == ">", match[2]
    if kind in WORSE and above != (absolute[0] == ">"):
        raise NotUnderstoodError(allowed, f"{WORSE[kind]}, so the line is written with {absolute[0]}")
    factor = _RELATIVE.match(quantity)
    if factor:
        return Threshold(limit=_factor(float(factor[1]), above=above), relative=True, above=above)
    try:
        return Threshold(limit=parse(quantity), above=above)
    except NotUnderstoodError as error:
        raise NotUnderstoodError(allowed, error.hint) from None


def _factor(factor: float, *, above: bool) -> float:
    """A relative line inside what stable itself shows would fire on a canary that is its equal."""
    if above and factor <= 1:
        raise NotUnderstoodError("a factor above 1 after >", "a canary like stable shows 1x baseline")
    if not above and not 0 < factor < 1:
        raise NotUnderstoodError("a factor between 0 and 1 after <", "a canary like stable shows 1x baseline")
    return factor


def show_threshold(line: Threshold, kind: Kind) -> str:
    """As written in a plan: `> 0.5%`, `> 2x baseline`."""
    sign = ">" if line.above else "<"
    if line.relative:
        return f"{sign} {show_reading(line.limit)}x baseline"
    return f"{sign} {UNITS[kind][1](line.limit)}"


def threshold_pattern(kind: Kind) -> str:
    """A regular expression for the JSON Schema: the lines of a metric of this kind."""
    sign: Literal["<", ">", "[<>]"] = "[<>]" if kind == "gauge" else "<" if kind == "good" else ">"
    quantity = {
        "bad": PERCENT_PATTERN[1:-1],
        "good": PERCENT_PATTERN[1:-1],
        "latency": DURATION_PATTERN[1:-1],
        "gauge": rf"{READING}|{SIZE_PATTERN[1:-1]}",
    }[kind]
    return rf"^{sign} *(?:{NUMBER} *x +baseline|{quantity})$"


def _plain(number: Decimal) -> str:
    """A decimal without exponent and without trailing zeros."""
    shown = f"{number:f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown
