"""A plan: DESIGN's own example, its defaults, and every fault with its place, what was found and what is allowed."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sample_configs
from engine.events import GateRule
from engine.judge.metric import Metric, Threshold
from engine.plan.model import Plan, parse_plan, read_plan
from engine.plan.problem import PlanError, Problem

LEAST = """\
service: checkout
router: {sandbox: {}}
source: {scrape: {urls: ["http://127.0.0.1:7480/metrics"]}}
metrics:
  errors: {total: x_total, bad: 'x_total{version="$version",code=~"5.."}', alert: "> 1%"}
"""

WHOLE = """\
service: checkout
version: {canary: v2.0}
change:
  summary: Retry card payments once on a gateway timeout
  kinds: [backend]
  flags: [payment-retry]
  migration: none
strategy: canary
router: {sandbox: {url: "http://127.0.0.1:7480", stable: shop-a, canary: shop-b}}
source: {scrape: {urls: ["http://127.0.0.1:7480/metrics"], interval: 5s, timeout: 2s}}
stages:
  - {weight: 5,   bake: 15m, min_requests: 1000}
  - {weight: 25,  bake: 15m, min_requests: 1000}
  - {weight: 50,  bake: 15m, min_requests: 1000}
  - {weight: 100, bake: 1h}
until: both
advance: manual
finish: swap
keep_old: 1h
metrics:
  error_rate:
    total: http_requests_total{version="$version"}
    bad:   http_requests_total{version="$version",code=~"[45].."}
    baseline: 0.1%
    alert: ["> 0.5%", "> 2x baseline"]
  latency_p95:
    {histogram: http_request_duration_seconds, quantile: 0.95, baseline: 150ms, alert: ["> 250ms", "> 1.5x baseline"]}
  latency_p99: {histogram: http_request_duration_seconds, quantile: 0.99, baseline: 500ms, alert: "> 750ms"}
  checkout_success:
    total: checkout_total{version="$version"}
    good: checkout_total{version="$version",outcome="success"}
    baseline: 98%
    alert: "< 96%"
    weight: critical
    on_fail: ask
  db_pool_used: {gauge: db_pool_in_use, limit: 100, baseline: 50, alert: "> 80"}
  latency_p50: {histogram: http_request_duration_seconds, quantile: 0.5, weight: informational}
on_fail: rollback
blind: {after: 2m, then: hold}
rollback: {budget: 2m, hard_limit: 5m}
checks:
  pre: [{http: {path: /healthz, expect: 200}, name: it answers, ticks: [smoke]}]
  stage:
    - http: {path: /healthz}
    - http: {path: /checkout, method: POST, body: {a: null}, expect: 401, target: public}
checklist:
  add: [{id: marketing, list: pre, text: Marketing knows}]
  drop: [cache]
"""


def plan(text: str = WHOLE) -> Plan:
    return parse_plan(text.encode(), "plan.yaml")


def faults(text: str) -> list[str]:
    """Every problem of an invalid plan."""
    with pytest.raises(PlanError) as error:
        plan(text)
    return [str(problem) for problem in error.value.problems]


def test_the_designs_own_plan_is_read_into_base_units():
    read = plan()
    assert [(s.weight, s.bake, s.warmup, s.min_requests) for s in read.stages] == [
        (5, 900, 60, 1000),
        (25, 900, 60, 1000),
        (50, 900, 60, 1000),
        (100, 3600, 60, 0),
    ]
    assert read.least_seconds == 6300
    assert (read.keep_old, read.converge, read.wait_for_canary) == (3600, 60, 600)
    assert (read.router.kind, read.router.config.canary) == ("sandbox", "shop-b")
    assert [check.title for check in read.checks.stage] == ["GET /healthz", "POST /checkout (public)"]
    assert read.checks.pre[0].title == "it answers"
    assert (read.on_fail_of("error_rate"), read.on_fail_of("checkout_success")) == ("rollback", "ask")


def test_metrics_are_given_to_the_judge_in_its_units():
    errors, p95, _, checkout, pool, p50 = plan().judge_metrics()
    assert errors == Metric("error_rate", "bad", (Threshold(0.005), Threshold(2, relative=True)), 0.001)
    assert p95.quantile == 0.95
    assert p95.thresholds == (Threshold(0.25), Threshold(1.5, relative=True))
    assert p95.cut == pytest.approx(0.225)
    assert checkout == Metric("checkout_success", "good", (Threshold(0.96, above=False),), 0.98, weight="critical")
    assert pool == Metric("db_pool_used", "gauge", (Threshold(80),), 50, limit=100)
    assert not p50.judged


def test_the_least_plan_has_the_usual_defaults():
    read = plan(LEAST)
    assert [(s.weight, s.bake) for s in read.stages] == [(5, 900), (25, 900), (50, 900), (100, 3600)]
    assert (read.until, read.advance, read.finish, read.on_fail) == ("both", "manual", "swap", "rollback")
    assert (read.blind.after, read.blind.then) == (120, "hold")
    assert (read.rollback.budget, read.rollback.hard_limit) == (120, 300)
    assert (read.source.config.interval, read.source.config.timeout) == (5, 2)
    assert read.version is None
    assert str(read.metrics["errors"].total) == 'x_total{version="$version"}'


def test_a_short_interval_has_a_shorter_timeout_by_default():
    read = plan(LEAST.replace('metrics"]}', 'metrics"], interval: 2s}'))
    assert (read.source.config.interval, read.source.config.timeout) == (2, 1)


def test_a_short_bake_has_no_warmup_by_default():
    read = plan(LEAST + "stages: [{weight: 50, bake: 119s}, {weight: 100, bake: 2m}]")
    assert [(s.warmup, s.bake) for s in read.stages] == [(0, 119), (60, 120)]
    assert [(r.warmup_s, r.bake_s) for r in read.stage_rules()] == [(0, 119), (60, 60)]


def test_the_digest_names_the_content_and_not_its_layout():
    spelled_out = json.dumps(plan(LEAST).written())
    assert plan(LEAST).digest == plan("# a comment\n" + LEAST).digest == plan(spelled_out).digest
    assert plan(LEAST).digest != plan(LEAST + "keep_old: 59m").digest
    assert len(plan().digest) == 64


@pytest.mark.parametrize("text", [LEAST, WHOLE])
def test_a_plan_reads_back_from_what_it_writes(text):
    read = plan(text)
    assert Plan.model_validate(read.written()) == read
    assert plan(json.dumps(read.written())) == read


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("servce: a", "plan.yaml:6:1: servce: found an unknown key, allowed: service, version, change,"),
        ("servce: a", "did you mean service?"),
        ("notify: {}", "plan.yaml:6:1: notify: found an unknown key"),
        ("version: {canary: 1.10}", "plan.yaml:6:19: version.canary: found 1.10, allowed: text; write it in quotes"),
        ("version: {canary: 'a b'}", 'plan.yaml:6:19: version.canary: found "a b", allowed: a version'),
        ("version: v2", "plan.yaml:6:10: version: found v2, allowed: a mapping of keys"),
        ("strategy: blue-green", "plan.yaml:6:11: strategy: found blue-green, allowed: canary"),
        ("until: bath", "plan.yaml:6:8: until: found bath, allowed: both or either; did you mean both?"),
        ("finish: copy", "plan.yaml:6:9: finish: found copy, allowed: swap"),
        (
            "change: {kinds: [backed]}",
            "change.kinds[0]: found backed, allowed: docs, ui, dependency, backend, database or core",
        ),
        ("change: {migration: some}", "change.migration: found some, allowed: none"),
        ("change: {migration: {reversible: yes}}", "change.migration.reversible: found yes, allowed: true or false"),
        (
            "change: {migration: {reversible: true}}",
            "change.migration.backwards_compatible: found nothing, allowed: a value",
        ),
        ('change: {summary: "a\\nb"}', "change.summary: found"),
        ("keep_old: 60", "plan.yaml:6:11: keep_old: found 60, allowed: a time with its unit"),
        ("keep_old: 60", "a bare number has no unit: write 60s"),
        ("blind: {then: rollbck}", "blind.then: found rollbck, allowed: hold or rollback; did you mean rollback?"),
        ("rollback: {budget: 6m}", "rollback.hard_limit: found 5m, allowed: the budget of 6m or more"),
        ("rollback: {budget: 0s}", "plan.yaml:6:20: rollback.budget: found 0s, allowed: more than 0s"),
        ("rollback: {who: oncall}", "rollback.who: found oncall, allowed: a list"),
        ("production: yes", "plan.yaml:6:13: production: found yes, allowed: true or false"),
        ("gate: {}", "plan.yaml:6:7: gate: found a gate without them, allowed: approvers, expires, or both"),
        ("gate: {approvers: 1, expires: 0s}", "plan.yaml:6:31: gate.expires: found 0s, allowed: more than 0s"),
        ("gate: {approvers: 1, then: rollback}", "gate.then: found rollback, allowed: `rollback` with a time"),
        ("gate: {approver: 1}", "gate.approver: found an unknown key, allowed: approvers, expires, then; did you mean"),
        (
            "stages: [{weight: 100, gate: {approvers: two}}]",
            "[0].gate.approvers: found two, allowed: a whole number",
        ),
        ("stages: []", "plan.yaml:6:9: stages: found an empty list, allowed: one stage or more"),
        ("stages: 5", "plan.yaml:6:9: stages: found 5, allowed: a list"),
        ("stages: [5]", "stages[0]: found 5, allowed: a mapping of keys"),
        ("stages: [{weight: 5}]", "plan.yaml:6:19: stages[0].weight: found 5, allowed: 100 in the last stage"),
        (
            "stages: [{weight: 9}, {weight: 5}, {weight: 100}]",
            "plan.yaml:6:32: stages[1].weight: found 5, allowed: a weight above 9",
        ),
        ("stages: [{weight: 100}, {weight: 100}]", "stages[1].weight: found 100, allowed: 100 only once"),
        ("stages: [{weight: 5%}, {weight: 100}]", "stages[0].weight: found 5%, allowed: a whole number from 1 to 100"),
        ("stages: [{weight: 0}, {weight: 100}]", "stages[0].weight: found 0, allowed: from 1 to 100: a preview"),
        ("stages: [{weight: true}, {weight: 100}]", "stages[0].weight: found true, allowed: a whole number"),
        ("stages: [{weight: 2.5}, {weight: 100}]", "stages[0].weight: found 2.5, allowed: a whole number"),
        ("stages: [{weight: 100, bake: 0s}]", "stages[0].bake: found 0s, allowed: more than 0s"),
        (
            "stages: [{weight: 100, bake: 1m, warmup: 1m}]",
            "stages[0].warmup: found 1m, allowed: less than the bake of 1m",
        ),
        ("stages: [{weight: 100, min_requests: -1}]", "stages[0].min_requests: found -1, allowed: 0 or more"),
        ("stages: [{weight: 100, min_requests: 1k}]", "stages[0].min_requests: found 1k, allowed: a whole number"),
        ("stages: [{weight: 100, bakes: 1m}]", "stages[0].bakes: found an unknown key, allowed: weight, bake"),
        (
            "checks: {stage: [{htp: {}}]}",
            "checks.stage[0].htp: found an unknown key, allowed: http, junit, name or ticks; did you mean http?",
        ),
        ("checks: {stage: [{}]}", "checks.stage[0]: found none, allowed: one check: http"),
        ("checks: {stage: [3]}", "checks.stage[0]: found 3, allowed: a mapping with one check: http"),
        ("checks: {stage: [{http: 3}]}", "checks.stage[0].http: found 3, allowed: a mapping of keys"),
        ("checks: {stage: [{http: {path: healthz}}]}", "checks.stage[0].http.path: found healthz, allowed: a path"),
        ("checks: {stage: [{http: {path: /a, expct: 1}}]}", "did you mean expect?"),
        ("checks: {stage: [{http: {path: /a, expect: 99}}]}", "expect: found 99, allowed: 100 or more"),
        ("checks: {stage: [{http: {path: /a, body: {}}}]}", "body: found a mapping, allowed: no body with GET"),
        (
            "checks: {stage: [{http: {path: /a, method: HEAD, contains: x}}]}",
            "contains: found x, allowed: no text with HEAD",
        ),
        ("checks: {stage: [{http: {path: /a, within: 0s}}]}", "within: found 0s, allowed: more than 0s"),
        ("checks: {stage: [{http: {path: /a}}, {http: {path: /a}}]}", "checks.stage[1]: found a second GET /a"),
        (
            "checks: {pre: [{http: {path: /a}, ticks: [smok]}]}",
            "checks.pre[0].ticks[0]: found smok, allowed: an item's id",
        ),
        ("checks: {pre: [{http: {path: /a}, ticks: [smok]}]}", "did you mean smoke?"),
        ("checklist: {drop: [smok]}", "checklist.drop[0]: found smok, allowed: an item's id: regression, smoke"),
        (
            "checklist: {add: [{id: smoke, list: pre, text: x}]}",
            "checklist.add[0].id: found smoke, allowed: an id that no",
        ),
        (
            "checklist: {add: [{id: a, list: pre, text: x}, {id: a, list: pre, text: x}]}",
            "checklist.add[1].id: found a",
        ),
        (
            "checklist: {add: [{id: a, list: pre, text: x}], drop: [a]}",
            "checklist.drop[0]: found a, allowed: an item that",
        ),
        ("checklist: {add: [{id: a, list: after, text: x}]}", "list: found after, allowed: pre, during or post"),
    ],
)
def test_a_fault_says_where_it_is_what_was_found_and_what_is_allowed(text, fault):
    assert any(fault in found for found in faults(LEAST + text)), faults(LEAST + text)


@pytest.mark.parametrize(
    ("router_or_source", "fault"),
    [
        ("router: {sandbx: {}}", "router.sandbx: found an unknown key, allowed: sandbox, "),
        ("router: {sandbx: {}}", "did you mean sandbox?"),
        ("router: {}", "router: found none, allowed: one router: sandbox"),
        ("router: sandbox", "router: found sandbox, allowed: a mapping with one router: sandbox"),
        ("router: {sandbox: }", "router.sandbox: found nothing, allowed: a mapping of keys"),
        ("router: {sandbox: {url: ftp://x}}", "router.sandbox.url: found ftp://x, allowed: an address such as"),
        ("router: {sandbox: {url: 'http://a:b'}}", "router.sandbox.url: found"),
        ("router: {sandbox: {stable: a, canary: a}}", "router.sandbox.canary: found a, allowed: another backend"),
        ("source: {scrape: {}}", "source.scrape.urls: found nothing, allowed: a value, since it is required"),
        ("source: {scrape: {urls: []}}", "source.scrape.urls: found a list, allowed: 1 or more"),
        ("source: {scrape: {urls: ['http://a', 'http://a']}}", 'urls[1]: found "http://a", allowed: each address once'),
        ("source: {scrape: {urls: ['http://a'], interval: 61s}}", "interval: found 61s, allowed: 1s to 1m"),
        (
            "source: {scrape: {urls: ['http://a'], interval: 2s, timeout: 2s}}",
            "timeout: found 2s, allowed: more than 0s, less than",
        ),
    ],
)
def test_a_choice_is_checked_by_the_kind_that_it_names(router_or_source, fault):
    key = router_or_source.partition(":")[0]
    text = re.sub(rf"^{key}:.*$", router_or_source.replace("\\", r"\\"), LEAST, flags=re.MULTILINE)
    assert any(fault in found for found in faults(text)), faults(text)


@pytest.mark.parametrize(
    ("metric", "fault"),
    [
        (
            "{total: x}",
            "metrics.m: found only total, allowed: total with bad, total with good, histogram with quantile, or gauge",
        ),
        ("{histogramm: x}", "did you mean histogram?"),
        ("{}", "metrics.m: found no key"),
        ("3", "metrics.m: found 3, allowed: a mapping of keys"),
        ("{total: x, bad: x, alert: '> 1'}", 'metrics.m.alert: found "> 1", allowed: a line such as "> 0.5%"'),
        ("{total: x, bad: x, alert: ['> 1%', '< 2%']}", 'metrics.m.alert[1]: found "< 2%"'),
        ("{total: x, bad: x}", 'metrics.m.alert: found no line, allowed: a line such as "> 0.5%"'),
        ("{total: x, bad: x, alert: []}", "metrics.m.alert: found no line"),
        ("{total: x, bad: x, good: x, alert: '> 1%'}", "metrics.m.good: found an unknown key"),
        (
            "{bad: x, alert: '> 1%'}",
            "metrics.m.total: found nothing, allowed: a value, since it is required; the counter",
        ),
        (
            "{total: 'x{}', bad: x, alert: '> 1%'}",
            'metrics.m.total: found "x{}", allowed: a label that holds "$version"',
        ),
        ("{total: 'rate(x[5m])', bad: x, alert: '> 1%'}", "rate() extrapolates"),
        ("{total: 5, bad: x, alert: '> 1%'}", "metrics.m.total: found 5, allowed: the name of a series"),
        ("{total: x, bad: x, baseline: 0.1, alert: '> 1%'}", "metrics.m.baseline: found 0.1, allowed: a percentage"),
        ("{histogram: x, alert: '> 1s'}", "metrics.m.quantile: found nothing"),
        ("{histogram: x, quantile: 95, alert: '> 1s'}", "metrics.m.quantile: found 95, allowed: less than 1"),
        ("{histogram: x_bucket, quantile: 0.9, alert: '> 1s'}", "allowed: the histogram's own name, x"),
        (
            "{histogram: x, quantile: 0.9, alert: '> 2x baseline'}",
            "metrics.m.baseline: found none, allowed: the usual value",
        ),
        ("{gauge: x, alert: '> 80%'}", 'metrics.m.alert: found "> 80%", allowed: a line such as "> 80"'),
        (
            "{gauge: x, alert: '> 8', weight: vital}",
            "metrics.m.weight: found vital, allowed: critical, normal or informational",
        ),
        ("{gauge: x, alert: '> 8', on_fail: page}", "metrics.m.on_fail: found page, allowed: rollback, hold or ask"),
    ],
)
def test_a_metric_is_checked_in_its_own_form(metric, fault):
    assert any(fault in found for found in faults(LEAST + f"  m: {metric}\n")), faults(LEAST + f"  m: {metric}\n")


def test_a_metrics_name_is_checked_at_its_key():
    assert (
        "plan.yaml:6:3: metrics.P-95: found P-95 as a key, allowed: small letters"
        in faults(LEAST + "  P-95: {gauge: x, alert: '> 1'}\n")[0]
    )


def test_a_plan_needs_a_metric_that_is_judged():
    shown_only = re.sub("alert:.*}", "weight: informational}", LEAST)
    assert "metrics: found none, allowed: one metric or more that is judged" in faults(shown_only)[0]
    assert "metrics: found no metric" in faults(LEAST.partition("metrics:")[0] + "metrics: {}\n")[0]


def test_an_informational_metric_needs_neither_line_nor_version():
    read = plan(LEAST + "  users: {gauge: 'users{}', weight: informational}\n")
    assert read.metrics["users"].alert == ()


def test_all_faults_of_a_file_are_said_at_once_in_the_order_of_its_lines():
    text = (
        LEAST
        + "keep_old: 5\nstages: [{weight: 5, bake: 3}, {weight: 4}]\nuntil: x\nuntil: y\nfoo: .nan\npassword: hunter2\n"
    )
    found = faults(text)
    lines = [int(each.split(":")[1]) for each in found]
    assert lines == sorted(lines)
    keys = (
        "keep_old",
        "stages[0].bake",
        "stages[1].weight",
        "until: found the key again",
        "until: found y",
        "foo",
        "password",
    )
    assert all(any(f" {key}" in each for each in found) for key in keys), found
    assert "hunter2" not in str(found)


def test_of_very_many_faults_the_first_hundred_are_shown():
    with pytest.raises(PlanError) as error:
        plan(LEAST + "".join(f"k{number}: 1\n" for number in range(150)))
    assert len(error.value.problems) == 150
    shown = str(error.value).splitlines()
    assert (len(shown), shown[-1]) == (101, "plan.yaml: and 50 more")


def test_a_secret_in_a_known_place_is_not_repeated_by_any_fault():
    found = faults(LEAST.replace("checkout", "ghp_abcdef123456") + "version: {canary: 'Bearer abcdef123456'}\n")
    assert "abcdef123456" not in str(found)
    assert sum("not shown" in each for each in found) == 2


def test_an_error_is_no_road_to_what_was_hidden():
    with pytest.raises(PlanError) as error:
        plan(LEAST + "password: hunter2\n")
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__ or error.value.__context__ is None


def test_a_file_that_can_not_be_read_is_a_fault_too(tmp_path: Path):
    with pytest.raises(PlanError, match="found No such file or directory, allowed: a plan's file"):
        read_plan(tmp_path / "none.yaml")
    with pytest.raises(PlanError, match="found Is a directory"):
        read_plan(tmp_path)
    (tmp_path / "plan.yaml").write_text(LEAST)
    assert read_plan(tmp_path / "plan.yaml").service == "checkout"


def test_reading_a_plan_imports_nothing_that_does_input_or_output():
    code = (
        "import sys; from engine.plan.model import parse_plan; parse_plan(sys.stdin.buffer.read());"
        "print([name for name in ('httpx', 'sqlalchemy', 'textual', 'starlette', 'prometheus_client', 'asyncio')"
        " if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], input=WHOLE, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.sampled_from(
            ["5m", "1%", "> 1%", "> 2x baseline", "canary", "x{}", "${env:A}", "/a", "http://a", "<good>", ""]
        ),
        st.text(max_size=5),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["weight", "bake", "http", "gauge", "path", "id", "name", "<bad>", "[key]"]), inner
        ),
    ),
    max_leaves=6,
)


def outcome(text: str) -> tuple[tuple[Problem, ...], Plan | None]:
    """The faults of a plan, or the plan."""
    try:
        return (), plan(text)
    except PlanError as error:
        return error.problems, None


@given(st.data())
def test_no_value_in_any_place_does_more_than_be_refused(data):
    written = copy.deepcopy(plan().written())
    inner = written
    while True:
        key = data.draw(st.sampled_from(sorted(inner) if isinstance(inner, dict) else range(len(inner))))
        if not isinstance(inner[key], (dict, list)) or not inner[key] or data.draw(st.booleans()):
            break
        inner = inner[key]
    inner[key] = data.draw(VALUES)
    refused, read = outcome(json.dumps(written))
    assert all(problem.allowed and problem.found and problem.line for problem in refused)
    assert read is None or plan(json.dumps(read.written())) == read


def test_gates_are_read_for_the_start_and_for_each_stage():
    written = read_plan(sample_configs.path("sandbox.yaml")).written()
    written["gate"] = {"approvers": 1}
    written["stages"][1]["gate"] = {"approvers": 2, "expires": "2h", "then": "rollback"}
    plan = Plan.model_validate(written)
    assert plan.gate is not None
    assert plan.gate.rule() == GateRule(approvers=1)
    assert [rule.gate for rule in plan.stage_rules()] == [None, GateRule(2, 7200.0, "rollback"), None, None]
    assert Plan.model_validate(plan.written()) == plan
