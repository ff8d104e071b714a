from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tui.layout import ALWAYS, Demand, arrange, too_small

demands = st.builds(
    Demand,
    metrics=st.integers(1, 40),
    items=st.integers(0, 60),
    banner=st.integers(0, 6),
    panel=st.integers(0, 7),
    checklist_focused=st.booleans(),
)


@given(st.integers(80, 300), st.integers(24, 100), demands)
def test_the_parts_never_take_more_than_there_is(width: int, height: int, demand: Demand) -> None:
    rows = arrange(width, height, demand)
    side = max(rows.metrics + rows.chart, rows.checklist) if rows.wide else rows.metrics + rows.chart + rows.checklist
    assert ALWAYS + rows.banner + rows.panel + side + rows.next + rows.log <= height
    assert min(rows.metrics, rows.chart, rows.checklist, rows.log) >= 0
    assert (rows.banner, rows.panel) == (demand.banner, demand.panel)


@given(st.integers(80, 300), st.integers(24, 100), demands)
def test_without_a_banner_every_part_is_there(width: int, height: int, demand: Demand) -> None:
    rows = arrange(width, height, Demand(demand.metrics, demand.items, 0, 0, demand.checklist_focused))
    assert min(rows.metrics, rows.log) >= 2
    assert rows.checklist >= 1


def test_the_list_with_the_keys_gets_the_rows() -> None:
    calm = arrange(80, 24, Demand(7, 24))
    ticking = arrange(80, 24, Demand(7, 24, checklist_focused=True))
    assert calm.metrics == 1 + 7 + 1
    assert ticking.checklist > 3 * calm.checklist


def test_a_chart_needs_a_large_terminal() -> None:
    assert arrange(200, 50, Demand(6, 24)).chart >= 8
    assert arrange(120, 35, Demand(6, 24)).chart == 0


def test_what_is_too_small() -> None:
    assert too_small(79, 24)
    assert too_small(80, 23)
    assert not too_small(80, 24)
