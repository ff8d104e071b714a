"""`laneshift doctor PLAN`: everything a release will need, tried without changing anything."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from cli.ending import Exit, plain, show
from cli.start import text_of
from engine.client import EngineClient, ensure_engine

WIDTH = 80
LONGEST_TITLE = 16  # a longer one pushes its own first line
GRADES = ("ok", "warn", "bad")
AT_THE_END = {
    "bad": "mend what is bad before you start: a release would fail there, or could not be taken back",
    "warn": "a release can go; know what is written above",
    "ok": "a release has what it needs",
}


@click.command()
@click.argument("plan", type=click.Path(path_type=Path))
@click.option("--canary", default="", help="the version to release, if the plan does not name it")
@click.option("--observe", is_flag=True, help="what `start --observe` will need: rights to read only")
@click.option("--json", "as_json", is_flag=True, help="print the findings as JSON")
def doctor(plan: Path, canary: str, observe: bool, as_json: bool) -> None:
    """Try everything that a release of PLAN will need, and change nothing. Starts an engine when none runs.

    The engine tries it, with the credentials and from the network that a roll back will use. Each line is ok, warn or
    bad; below it stands the command or the step that mends it. Ends with 0 when nothing is bad, else with 2.
    """
    text = text_of(plan)
    client = EngineClient()
    ensure_engine(client)
    findings = client.examine(text, str(plan), canary=canary, observe=observe)
    counted = Counter(one["grade"] for one in findings)
    totals = {grade: counted[grade] for grade in GRADES}
    show(as_json, {"findings": findings, **totals}, "\n".join(as_text(findings)))
    if counted["bad"]:
        raise SystemExit(Exit.BAD_INPUT)


def as_text(findings: Sequence[dict[str, str]]) -> Iterator[str]:
    """What the doctor says, in lines of 80 columns; a command stands on a line of its own, whole, to be copied, below
    the last of the lines that it mends."""
    width = min(LONGEST_TITLE, max((len(one["what"]) for one in findings), default=0))
    for one, after in zip(findings, [*findings[1:], None], strict=True):
        mended_below = after is not None and after["mend"] == one["mend"]
        yield from _lines(one | {"mend": ""} if mended_below else one, width)
    counted = Counter(one["grade"] for one in findings)
    worst = next((grade for grade in reversed(GRADES) if counted[grade]), "ok")
    yield ""
    totals = ", ".join(f"{counted[grade]} {grade}" for grade in GRADES)
    yield from textwrap.wrap(f"{totals}: {AT_THE_END[worst]}", WIDTH)


def _lines(one: dict[str, str], width: int) -> Iterator[str]:
    grade = one["grade"].upper() if one["grade"] == "bad" else one["grade"]
    head = f"{grade:<4}  {plain(one['what']):<{width}}  "
    indent = " " * (width + 8)
    said = " ".join(plain(one["said"]).split())
    yield from textwrap.wrap(
        said, WIDTH, initial_indent=head, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    ) or [head.rstrip()]
    mend = plain(one["mend"]).strip().splitlines()
    if len(mend) == 1:
        yield f"      mend: {mend[0]}"
    elif mend:  # a document or a command of several lines, which an indent would break
        yield from ("      mend:", *mend)
