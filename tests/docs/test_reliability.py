"""docs/reliability.md names the test beside each of its claims: each of them exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))


@cache
def functions_in(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_a_test_that_the_page_names_exists(path: str, name: str) -> None:
    assert name in functions_in(path)


def test_every_row_of_a_failure_names_its_test() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and "---" not in line]
    heads = ("| what ", "| when |")
    claims = [row for row in rows if not row.startswith(heads)]
    assert len(claims) > 30
    assert [row for row in claims if "::test_" not in row] == []


def test_every_test_of_a_failure_end_to_end_stands_on_the_page() -> None:
    there = {
        (str(path.relative_to(ROOT)), name)
        for path in (ROOT / "tests" / "end_to_end").glob("test_*.py")
        for name in functions_in(str(path.relative_to(ROOT)))
        if name.startswith("test_") and "three_releases_in_a_row" not in name
    }
    assert there - set(NAMED) == set()
