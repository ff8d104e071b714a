"""`laneshift explain`: the judge's reasons, with every number behind them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from cli.ending import Exit, fail, show
from cli.pick import ENDED, pick
from engine.client import EngineClient


@click.command()
@click.argument("release", required=False, metavar="[ID|SERVICE]")
@click.argument("metric", required=False)
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def explain(release: str | None, metric: str | None, as_json: bool) -> None:
    """Why the judge says what it says, of all metrics or of one: counts, intervals, evidence, what is needed."""
    client = EngineClient()
    ident = pick(client.address, release, ended=ENDED)
    seen = client.look(ident)
    known = {one["name"]: one for one in seen["metrics"]}
    if metric is not None and metric not in known:
        fail(Exit.BAD_INPUT, f"{ident} has no metric {metric!r}; it has {', '.join(known)}")
    wanted = [metric] if metric is not None else list(known)
    verdicts = {name: seen["verdicts"][name] for name in wanted if name in seen["verdicts"]}
    data = {"release": ident, "past": seen["past"], "verdicts": verdicts}
    show(as_json, data, "\n".join(_lines(seen, known, verdicts)))


def _lines(seen: dict[str, Any], known: dict[str, Any], verdicts: dict[str, Any]) -> Iterator[str]:
    from engine.codec import decode
    from engine.judge import Metric, Verdict
    from engine.judge.explain import explain as in_full

    yield f"{seen['release']}, {seen['phase'].replace('_', ' ')}"
    for remark in seen["past"]["remarks"]:
        yield f"  {remark}"
    if not verdicts:
        yield "  the judge has not looked yet"
    for name, verdict in verdicts.items():
        yield name
        metric = decode(Metric, known[name])
        yield from (f"  {line}" for line in in_full(metric, decode(Verdict, verdict)))
