"""The engine's own configuration: every fault with its place, and what a command is granted."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

import sample_configs
from engine.config import (
    FILE,
    VARIABLE,
    EngineConfig,
    EngineConfigError,
    Retention,
    Surroundings,
    config_path,
    parse_engine_config,
    read_engine_config,
    split_address,
)
from engine.config.places import show_size
from engine.placeholders import OF_A_WRITE
from engine.plan.literal_secrets import HIDDEN
from engine.routers.command_answer import Answer
from engine.secrets import FOLDER, SecretMissingError, Secrets

WHOLE = """\
roles:
  viewer: {users: ["*"]}
  operator: {users: [otto], groups: [release]}
  approver: {groups: [leads]}
tokens:
  - name: ci
    user: ci
    groups: [release]
    sha256: 5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03
    expires: 2027-01-31
listen: {address: "0.0.0.0:7443", certificate: server.pem, key: server.key}
probes: "127.0.0.1:9464"
socket: {path: /run/laneshift/engine.sock, group: release}
store: postgresql://laneshift:${file:pg}@db/laneshift
lease: 10s
dead_man: {url: "${file:dead-man}", every: 60s}
retention: {ticks: 30d, releases: 400d, size: 2GB}
"""
LEAST = """\
commands:
  web:
    observe: [./look]
    shift: [./move, "{weight}"]
"""


def with_line(line: str) -> bytes:
    return f"{LEAST}    {line}\n".encode()


def fault_of(content: bytes | str) -> str:
    with pytest.raises(EngineConfigError) as error:
        parse_engine_config(content if isinstance(content, bytes) else content.encode())
    return str(error.value)


def test_a_command_needs_no_more_than_how_to_look_and_how_to_move():
    web = parse_engine_config(LEAST.encode()).commands["web"]
    assert web.argv("observe") == ("./look",)
    assert web.argv("rollback") == web.argv("shift") == ("./move", "{weight}")
    assert web.argv("scale") == ()
    assert (web.timeout, web.env, web.params, web.cwd) == (10.0, {}, (), None)


def test_all_that_can_be_said_of_a_command():
    config = parse_engine_config(b"""\
commands:
  web:
    params: [zone]
    observe: [terraform, output, -json, "-state={zone}.tfstate"]
    shift: [terraform, apply, -auto-approve, "-var=weight={weight}", "-var=mark={number}"]
    rollback: [./back, "{release}", "{stable_weight}"]
    scale: [./size, "{weight}"]
    timeout: 2m
    env: {TF_TOKEN: "${env:TF_TOKEN}", TF_IN_AUTOMATION: "1"}
    cwd: infra/web
""")
    web = config.commands["web"]
    assert (web.timeout, web.cwd, web.params) == (120.0, "infra/web", ("zone",))
    assert web.argv("rollback") == ("./back", "{release}", "{stable_weight}")
    assert web.uses("zone")
    assert not web.uses("canary")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("commands: {web: {observe: [a]}}", "engine.yaml:1:12: commands.web.shift: found nothing, allowed: a value"),
        ("comands: {}", "engine.yaml:1:1: comands: found an unknown key, allowed: roles, tokens, "),
        (with_line("rolback: [a]"), "engine.yaml:5:5: commands.web.rolback: found an unknown key"),
        (with_line("rollback: ./back"), "engine.yaml:5:15: commands.web.rollback: found ./back, allowed: a list"),
        (with_line("rollback: []"), "5:15: commands.web.rollback: found a list, allowed: 1 or more"),
        (with_line("rollback: [a, 3]"), "5:19: commands.web.rollback[1]: found 3, allowed: text; write it in quotes"),
        (with_line('rollback: ["-x"]'), "commands.web.rollback: found a list, allowed: a program first"),
        (with_line('rollback: ["{service}"]'), "commands.web.rollback: found a list, allowed: a program first"),
        (with_line('rollback: [""]'), "commands.web.rollback: found a list, allowed: a program first"),
        (with_line('rollback: [a, "b\\nc"]'), 'rollback[1]: found "b\\nc", allowed: one line of printable text'),
        (
            with_line('rollback: [a, "to {wieght}"]'),
            "5:19: commands.web.rollback[1]: found the placeholder {wieght}, allowed: {service}, {canary}, {weight}, ",
        ),
        (with_line('scale: [a, "{number}"]'), "5:16: commands.web.scale[1]: found the placeholder {number}"),
        (with_line("timeout: 0s"), "5:14: commands.web.timeout: found 0s, allowed: more than 0s, 10m at most"),
        (with_line("timeout: 1h"), "commands.web.timeout: found 1h, allowed: more than 0s, 10m at most"),
        (with_line("timeout: 10"), "commands.web.timeout: found 10, allowed: a time with its unit"),
        (with_line("params: [weight]"), "commands.web.params[0]: found weight, allowed: a name of its own"),
        (with_line("params: [Zone-1]"), "commands.web.params[0]: found Zone-1, allowed: small letters, digits"),
        (with_line("env: {A: 8080}"), "commands.web.env.A: found 8080, allowed: text; write it in quotes"),
        (with_line("env: {A-B: x}"), "found A-B as a key, allowed: the name of an environment variable"),
        (with_line('rollback: [a, "${env:TOKEN}"]'), 'rollback[1]: found "${env:TOKEN}", allowed: no secret'),
        (LEAST + LEAST, "engine.yaml:5:1: commands: found the key again"),
        ("commands: {Web: {observe: [a], shift: [b]}}", "found Web as a key, allowed: small letters"),
        ("", "engine.yaml:1:1: found an empty file"),
        ("commands: [", "engine.yaml:2:1: found a fault"),
    ],
)
def test_a_fault_is_said_with_its_place(content, said):
    assert said in fault_of(content)


def test_all_faults_are_said_at_once():
    said = fault_of(with_line("timeout: 0s\n    cwd: 3\n    env: {TOKEN: hunter2}"))
    assert [line.split(": ")[1] for line in said.splitlines()] == [
        "commands.web.timeout",
        "commands.web.cwd",
        "commands.web.env.TOKEN",
    ]


def test_a_literal_secret_is_a_fault_and_not_repeated():
    said = fault_of(with_line("env: {DEPLOY_TOKEN: hunter2}"))
    assert f"5:25: commands.web.env.DEPLOY_TOKEN: found {HIDDEN}" in said
    assert "hunter2" not in said


def test_it_is_read_from_the_state_folder_unless_the_environment_says_where(tmp_path):
    assert config_path(tmp_path, {}) == tmp_path / FILE
    assert config_path(tmp_path, {VARIABLE: "/etc/laneshift/engine.yaml"}) == Path("/etc/laneshift/engine.yaml")


def test_no_file_allows_nothing_but_a_named_one_must_be_there(tmp_path):
    assert read_engine_config(tmp_path / FILE).commands == {}
    with pytest.raises(EngineConfigError, match=f"there is no .*{FILE}, which {VARIABLE} names"):
        read_engine_config(tmp_path / FILE, needed=True)


def test_a_file_that_everybody_can_write_to_is_refused(tmp_path):
    path = tmp_path / FILE
    path.write_text(LEAST)
    path.chmod(0o646)
    with pytest.raises(EngineConfigError, match=r"everybody can write to .*: chmod o-w"):
        read_engine_config(path)
    path.chmod(0o644)
    assert list(read_engine_config(path).commands) == ["web"]


def test_a_file_that_can_not_be_read_is_said(tmp_path):
    with pytest.raises(EngineConfigError, match="can't be read: Is a directory"):
        read_engine_config(tmp_path)


@pytest.fixture
def surroundings(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    (tmp_path / FILE).write_text(LEAST + '    env: {LOGIN: "${env:WEB}-${file:web}"}\n    cwd: infra\n')
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "web").write_text("from-a-file")
    return Surroundings(Secrets(tmp_path, {"WEB": "from-the-environment"}), "shop", "v2")


def test_a_granted_command_has_its_secrets_and_its_folder(surroundings, tmp_path):
    granted = surroundings.command("web")
    assert granted.filled.env == {"LOGIN": "from-the-environment-from-a-file"}
    assert granted.written.env == {"LOGIN": "${env:WEB}-${file:web}"}
    assert granted.folder == tmp_path / "infra"
    assert surroundings.secrets.hide("it said from-a-file") == f"it said {HIDDEN}"


def test_a_command_that_is_not_listed_is_refused_with_those_that_are(surroundings):
    with pytest.raises(EngineConfigError, match=r"has no command wep, only: web; did you mean web\?"):
        surroundings.command("wep")


def test_a_change_of_the_file_holds_from_the_next_use_on(surroundings, tmp_path):
    (tmp_path / FILE).write_text("commands: {}")
    with pytest.raises(EngineConfigError, match="has no command web, only: none"):
        surroundings.command("web")


def test_a_secret_that_is_not_there_is_said(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    (tmp_path / FILE).write_bytes(with_line('env: {TOKEN: "${env:NOWHERE}"}'))
    with pytest.raises(SecretMissingError, match="NOWHERE"):
        Surroundings(Secrets(tmp_path, {}), "shop", "").command("web")


def test_the_sample_is_valid():
    sample = Path(sample_configs.__file__).parent / "engine" / FILE
    assert list(read_engine_config(sample).commands) == ["sandbox-route"]


DOCS = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()


def test_the_example_of_the_docs_is_valid():
    example = re.search(r"```yaml\n(commands:.*?)```", DOCS, re.DOTALL)
    assert example is not None
    assert list(parse_engine_config(example[1].encode()).commands) == ["edge"]


def test_the_docs_name_every_placeholder_and_every_key_of_an_answer():
    named = set(re.findall(r"`\{?([a-z_]+)\}?`", DOCS))
    assert {*OF_A_WRITE, *Answer.model_fields} <= named


# --- who and where

DIGEST = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"


def token(**changes: str) -> str:
    keys = {"name": "ci", "user": "ci", "roles": "[operator]", "sha256": DIGEST} | changes
    return "tokens: [{" + ", ".join(f"{key}: {value}" for key, value in keys.items() if value) + "}]"


def test_all_that_can_be_said_of_people_and_places():
    config = parse_engine_config(WHOLE.encode())
    assert config.roles is not None
    assert list(config.roles.members()) == ["viewer", "operator", "approver"]
    assert config.tokens[0].expires == date(2027, 1, 31)
    assert (config.lease, config.retention) == (10.0, Retention(ticks="30d", releases="400d", size="2GB"))
    assert config.retention.size == 2_000_000_000
    assert config.retention.releases == 400 * 86400
    assert split_address("[::1]:9464") == ("::1", 9464)
    assert EngineConfig.model_validate(config.model_dump(mode="json", exclude_none=True)) == config


def test_the_store_has_its_secrets_only_when_it_is_asked_for(tmp_path):
    config = parse_engine_config(b"store: postgresql://a:${env:PG}@db/laneshift")
    assert "${env:PG}" in str(config.store)
    assert config.store_url(Secrets(tmp_path, {"PG": "s3cret"})) == "postgresql://a:s3cret@db/laneshift"
    whole = parse_engine_config(b"store: ${env:PG}")
    assert whole.store_url(Secrets(tmp_path, {"PG": "postgresql://db/x?password=a"})).endswith("=a")
    assert parse_engine_config(b"{}").store_url(Secrets(tmp_path, {})) == ""


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("roles: {viewr: {users: [a]}}", "roles.viewr: found an unknown key, allowed: viewer, operator, approver"),
        ("roles: {viewer: {users: []}}", "engine.yaml:1:17: roles.viewer: found nobody"),
        ("roles: {}", "roles: found no role"),
        ('roles: {viewer: {users: ["a,b"]}}', "roles.viewer.users[0]: found"),
        (token(sha256="abc"), "sha256: found 3 characters, not shown, allowed: 64 hexadecimal digits"),
        (token(sha256="hunter2hunter2"), "14 characters, not shown"),
        (token(name="", user="ci, token: hunter2"), "tokens[0].token: found (a secret, not shown)"),
        (token(roles=""), "tokens[0]: found one without, allowed: a token with a role"),
        (token(roles="[boss]"), "tokens[0].roles[0]: found boss, allowed: viewer, operator or approver"),
        (token(user='"*"'), "tokens[0].user: found"),
        (token(expires="soon"), "tokens[0].expires: found soon, allowed: a date such as 2027-01-31"),
        (token(expires="2027-02-30"), "allowed: a date"),
        (token()[:-1] + ", " + token()[9:], "tokens[1].name: found ci, allowed: each name once"),
        (token()[:-1] + ", " + token(name="b")[9:], "tokens[1].sha256: found one that stands above"),
        ('listen: {address: ":7443", certificate: a, key: b}', "0.0.0.0:7443 for all interfaces"),
        ('listen: {address: "a:70000", certificate: a, key: b}', "a port of 65535 at most"),
        ('listen: {address: "a:1", certificate: a}', "listen.key: found nothing"),
        ("probes: 9464", "probes: found 9464"),
        ("socket: {mode: 0666}", "socket.mode: found an unknown key, allowed: path, group"),
        ("store: mysql://db/x", "store: found mysql://db/x, allowed: postgresql://USER@HOST/DATABASE"),
        ("store: postgresql://a:hunter2@db/x", "store: found (a secret, not shown)"),
        ("store: postgresql://db/x?user=a&password=hunter2", "store: found (a secret, not shown)"),
        ("lease: 100ms", "lease: found 100ms, allowed: 1s to 10m"),
        ("dead_man: {url: ftp://a}", "dead_man.url: found ftp://a"),
        ("dead_man: {url: http://a, every: 0s}", "dead_man.every: found 0s, allowed: 1s to 1h"),
        ("retention: {size: 2}", "retention.size: found 2, allowed: a size such as 500MB or 2GB; a bare number"),
        ("retention: {size: 2 GB}", "retention.size: found 2 GB"),
        ("retention: {size: 1MB}", "10MB or more"),
        ("retention: {ticks: 0s}", "more than 0s"),
    ],
)
def test_a_fault_of_people_or_places_is_said_and_no_secret_is(content, said):
    found = fault_of(content)
    assert said in found
    assert found.startswith("engine.yaml:1:")
    assert "hunter2" not in found


@pytest.mark.parametrize(("size", "shown"), [(2 * 10**9, "2GB"), (10 * 2**20, "10MiB"), (123_456_789, "123456789B")])
def test_a_size_is_shown_as_it_can_be_read(size, shown):
    assert show_size(size) == shown
    assert Retention(size=shown).size == size


SECURITY = (Path(__file__).parents[2] / "docs" / "security.md").read_text()


def test_the_example_of_a_token_is_valid():
    example = re.search(r"```yaml\n(tokens:.*?)```", SECURITY, re.DOTALL)
    assert example is not None
    assert parse_engine_config(example[1].encode()).tokens[0].name == "ci"


def test_the_sample_of_a_team_is_valid():
    sample = Path(sample_configs.__file__).parent / "engine" / "team.yaml"
    config = read_engine_config(sample)
    assert set(type(config).model_fields) - config.model_fields_set == {"commands"}
