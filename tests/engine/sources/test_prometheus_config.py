"""What a plan may write under `prometheus`."""

from __future__ import annotations

from typing import Any

import pytest

from engine.plan.model import Plan, parse_plan
from engine.plan.problem import PlanError
from engine.secrets import Secrets
from engine.sources.config import PrometheusConfig

PLAN = """\
service: checkout
router: {sandbox: {}}
source: {prometheus: {SOURCE}}
metrics:
  errors: {total: x_total, bad: 'x_total{version="$version",code=~"5.."}', alert: "> 1%"}
"""
URL = 'url: "http://prometheus:9090"'


def plan(source: str) -> Plan:
    return parse_plan(PLAN.replace("SOURCE", source).encode())


def config(source: str) -> PrometheusConfig:
    found = plan(source).source.config
    assert isinstance(found, PrometheusConfig)
    return found


@pytest.mark.parametrize(
    ("source", "interval", "timeout"),
    [(URL, 15, 5), (f"{URL}, interval: 5s", 5, 2.5), (f"{URL}, interval: 30s, timeout: 20s", 30, 20)],
)
def test_times_are_the_servers_usual_ones(source: str, interval: float, timeout: float) -> None:
    found = config(source)
    assert (found.interval, found.timeout) == (interval, timeout)


@pytest.mark.parametrize(
    ("source", "key", "said"),
    [
        ("interval: 15s", "url", "the server's address"),
        (f"{URL}, interval: 500ms", "interval", "1s to 1m"),
        (f"{URL}, interval: 2m", "interval", "1s to 1m"),
        (f"{URL}, timeout: 15s", "timeout", "less than the interval of 15s"),
        ('url: "http://prometheus:9090/graph?g0=x"', "url", "without a query"),
        (f"{URL}, bearer_token: abcdef123", "bearer_token", "${env:"),
        (f"{URL}, basic: {{user: lane, password: shift}}", "basic.password", "${env:"),
        (f"{URL}, basic: {{user: lane}}", "basic.password", "a reference"),
        (
            f'{URL}, bearer_token: "${{env:A}}", basic: {{user: lane, password: "${{env:B}}"}}',
            "basic",
            "one of bearer_token, basic and an Authorization header",
        ),
        (
            f'{URL}, bearer_token: "${{env:A}}", headers: {{authorization: "Bearer ${{env:B}}"}}',
            "headers.authorization",
            "one of bearer_token",
        ),
        (f"{URL}, tls: {{key: /etc/key.pem}}", "tls.cert", "the certificate that the key belongs to"),
        (f"{URL}, tls: {{ca: ca.pem}}", "tls.ca", "an absolute path"),
        (f"{URL}, token: x", "token", "bearer_token"),
        (f'{URL}, headers: {{"X Scope": a}}', "headers", "the name of an HTTP header"),
    ],
)
def test_a_fault_says_what_is_allowed(source: str, key: str, said: str) -> None:
    with pytest.raises(PlanError) as found:
        plan(source)
    assert any(key in problem.key and said in str(problem) for problem in found.value.problems), str(found.value)


def test_secrets_are_resolved_and_all_else_stays(tmp_path: Any) -> None:
    written = config(
        f'{URL}, interval: 10s, headers: {{X-Scope-OrgID: shop}}, basic: {{user: lane, password: "${{env:PASSWORD}}"}},'
        " tls: {ca: /etc/ca.pem}"
    )
    resolved = Secrets(tmp_path, {"PASSWORD": "shift-it"}).resolve(written)
    assert resolved.basic is not None
    assert resolved.basic.password == "shift-it"
    assert resolved.model_copy(update={"basic": written.basic}) == written
