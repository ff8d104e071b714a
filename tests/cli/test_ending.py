from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from cli.commands import COMMANDS
from cli.ending import plain
from tests.cli.fake_engine import look


def test_text_from_outside_is_printed_without_its_control_characters():
    assert plain("two\nlines, ä and 日本") == "two\nlines, ä and 日本"
    assert plain("\x1b[31mred\x07\r\u202eltr\x9b") == "\\u001b[31mred\\u0007\\u000d\\u202eltr\\u009b"
    assert plain("x" * 5000 + "\x00") == "x" * 5000 + "\\u0000", "nothing is cut"


def test_whatever_the_engine_says_is_printed_plain(engine, laneshift):
    engine.releases = [look(waits_for="\x1b]0;owned\x07", canary="\x9b2J", ending="\u202e", target="\x1b[1m")]
    assert laneshift("status").out.isascii()
    assert "\x1b" not in laneshift("status").out
    engine.refuses = "\x1b[2Jno"
    assert laneshift("pause", "shop-1").err == "laneshift: shop-1: \\u001b[2Jno\n"


def test_an_odd_name_is_printed_plain_too(engine, laneshift):
    ended = laneshift("pause", "\x1b[2J/../ä")
    assert ended.code == 2
    assert "\x1b" not in ended.err
    ended = laneshift("\x1b[2J")
    assert ended.code == 2
    assert "\x1b" not in ended.err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_that_names_its_arguments(laneshift, name):
    ended = laneshift(name, "--help")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"Usage: laneshift {name} ")


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in ("watch", "schema", "serve")])
def test_every_command_takes_json(laneshift, name):
    assert "--json" in laneshift(name, "--help").out


@pytest.mark.parametrize(
    "line", [["nonsense"], ["pause", "--nonsense"], ["rollback", "a", "b"], ["tick"], ["waive", "a", "b"], ["start"]]
)
def test_what_is_not_understood_ends_with_2_and_says_where_help_is(laneshift, line):
    ended = laneshift(*line)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("laneshift: ")
    assert "--help" in ended.err


def test_with_json_a_failure_is_an_object_as_well(laneshift):
    ended = laneshift("status", "shop-1", "--json")
    assert ended.code == 3
    assert ended.json["exit_code"] == 3
    assert "no engine answers" in ended.json["error"]
    assert laneshift("pause", "--nonsense", "--json").json["exit_code"] == 2


def test_without_an_engine_questions_and_orders_end_with_3_and_say_what_to_do(laneshift):
    for line in (["status"], ["pause", "shop-1"], ["advance"], ["note", "shop-1", "hello"]):
        ended = laneshift(*line)
        assert (ended.code, ended.out) == (3, "")
        assert "laneshift serve" in ended.err


def test_an_engine_that_fails_or_falls_silent_is_said(engine, laneshift):
    engine.releases = [look()]
    engine.answers["GET", "/v1/releases/shop-1"] = (500, {"error": "the engine failed"})
    ended = laneshift("status", "shop-1")
    assert (ended.code, ended.err) == (4, "laneshift: the engine failed\n")
    engine.answers["GET", "/v1/releases/shop-1"] = (0, None)
    ended = laneshift("status", "shop-1")
    assert ended.code == 3
    assert "ended in mid-answer" in ended.err


@pytest.mark.real
def test_an_interrupt_ends_with_130_and_no_traceback(engine):
    engine.releases = [look(), look("shop-2")]
    engine.releases[0]["phase"] = "rolling_back"
    program = [sys.executable, "-m", "cli.main", "rollback", "shop-1"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        deadline = time.monotonic() + 20
        while engine.heard.count(("GET", "/v1/releases/shop-1")) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=20)
    assert (running.returncode, out, err) == (130, "", "\n")


@pytest.mark.real
def test_a_reader_that_goes_away_ends_it_with_141_and_in_silence(engine):
    engine.releases = [look()]
    reading, writing = os.pipe()
    os.close(reading)
    program = [sys.executable, "-m", "cli.main", "status"]
    ended = subprocess.run(program, check=False, stdout=writing, stderr=subprocess.PIPE, timeout=20)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (141, b"")


@pytest.mark.real
def test_a_terminal_without_unicode_gets_escapes(engine):
    engine.releases = [look(waits_for="ä…")]
    program = [sys.executable, "-m", "cli.main", "status"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    ended = subprocess.run(program, check=False, capture_output=True, env=environment, timeout=20)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert b"\\xe4\\u2026" in ended.stdout
