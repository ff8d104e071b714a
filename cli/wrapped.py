"""Sentences in lines of 80 columns, a number never parted from its unit."""

from __future__ import annotations

import re
import textwrap

WIDTH = 80
UNIT = re.compile(r"(?<=\d) (?=(?:s|min|h|requests)\b)")
KEPT = "\N{NO-BREAK SPACE}"


def wrapped(text: str) -> list[str]:
    """The lines of a sentence, indented by two, and by four from the second line on."""
    lines = textwrap.wrap(UNIT.sub(KEPT, text), WIDTH, initial_indent="  ", subsequent_indent="    ")
    return [line.replace(KEPT, " ") for line in lines]
