"""The files that a plan names: those of its own folder, ordinary ones, and not too much of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.plan import files as module
from engine.plan.files import files_of, read_files
from engine.plan.model import Plan
from engine.plan.problem import PlanError


def plan(*names: str) -> Plan:
    return Plan.model_validate({
        "service": "shop",
        "router": {"sandbox": {"url": "http://127.0.0.1:1"}},
        "source": {"scrape": {"urls": ["http://127.0.0.1:1/metrics"]}},
        "metrics": {"errors": {"total": "requests", "bad": "bad", "baseline": "0.1%", "alert": "> 2%"}},
        "checks": {"pre": [{"junit": name} for name in names], "stage": [{"http": {"path": "/healthz"}}]},
    })  # fmt: skip


def fault_of(folder: Path, *names: str) -> str:
    with pytest.raises(PlanError) as error:
        read_files(folder / "plan.yaml", plan(*names))
    return str(error.value)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "plans" / "reports").mkdir(parents=True)
    (tmp_path / "plans" / "reports" / "a.xml").write_bytes(b"<a/>")
    (tmp_path / "secret").write_text("not theirs")
    return tmp_path / "plans"


def test_a_plan_names_its_files_and_they_are_read_beside_it(folder, monkeypatch):
    monkeypatch.chdir("/")
    assert files_of(plan("reports/a.xml", "b.xml")) == ("reports/a.xml", "b.xml")
    assert read_files(folder / "plan.yaml", plan("reports/a.xml")) == {"reports/a.xml": b"<a/>"}
    assert read_files(folder / "plan.yaml", plan()) == {}


@pytest.mark.parametrize("name", ["/etc/passwd", "../secret", "reports/../../secret", "a\\b", "./a.xml", "a//b", "."])
def test_a_path_that_leads_out_is_a_fault_of_the_plan(name):
    with pytest.raises(ValueError, match="a path relative to the plan"):
        plan(name)


def test_a_link_may_lead_about_in_the_folder_and_not_out_of_it(folder):
    (folder / "in.xml").symlink_to("reports/a.xml")
    (folder / "out.xml").symlink_to("../secret")
    (folder / "round.xml").symlink_to("round.xml")
    assert read_files(folder / "plan.yaml", plan("in.xml")) == {"in.xml": b"<a/>"}
    assert "outside of the plan's folder" in fault_of(folder, "out.xml")
    assert "round.xml" in fault_of(folder, "round.xml")


def test_the_plans_folder_itself_may_be_a_link(folder, tmp_path):
    (tmp_path / "here").symlink_to(folder)
    assert read_files(tmp_path / "here" / "plan.yaml", plan("reports/a.xml")) == {"reports/a.xml": b"<a/>"}


def test_all_that_is_wrong_is_said_at_once(folder):
    os.mkfifo(folder / "pipe")
    said = fault_of(folder, "gone.xml", "pipe", "reports")
    assert "gone.xml: No such file" in said
    assert "pipe: it is no ordinary file" in said
    assert "reports: " in said


def test_a_file_and_all_of_them_are_bounded(folder, monkeypatch):
    monkeypatch.setattr(module, "LONGEST_FILE", 10)
    monkeypatch.setattr(module, "LONGEST_FILES", 15)
    monkeypatch.setattr(module, "MOST_FILES", 3)
    for name, size in (("a", 10), ("b", 5), ("c", 11), ("d", 6)):
        (folder / name).write_bytes(b"x" * size)
    assert len(read_files(folder / "plan.yaml", plan("a", "b"))) == 2
    assert "c: it has more than 10 bytes" in fault_of(folder, "c")
    assert "16 bytes" in fault_of(folder, "a", "d")
    assert "4 files" in fault_of(folder, "a", "b", "c", "d")
