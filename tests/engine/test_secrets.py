"""Secrets come from the engine's environment and its own folder, and are seen nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.checks.config import HttpConfig
from engine.secrets import FOLDER, SecretMissingError, Secrets


def login(password: str) -> HttpConfig:
    return HttpConfig(path="/login", method="POST", body={"user": "probe", "password": password})


def test_references_are_replaced_wherever_they_stand(tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "probe").write_text("from-a-file\n")
    secrets = Secrets(tmp_path, {"PROBE": "from-the-environment"})
    assert secrets.resolve(login("${env:PROBE}")).body == {"user": "probe", "password": "from-the-environment"}
    assert secrets.resolve(login("Basic ${file:probe}")).body == {"user": "probe", "password": "Basic from-a-file"}


def test_a_configuration_without_references_stays_as_it_is(tmp_path: Path) -> None:
    config = login("${env:PROBE}").model_copy(update={"body": None})
    assert Secrets(tmp_path, {}).resolve(config) is config


@pytest.mark.parametrize("reference", ["${env:PROBE}", "${file:probe}"])
def test_a_secret_that_is_not_there_is_named_with_its_place(tmp_path: Path, reference: str) -> None:
    with pytest.raises(SecretMissingError, match="is not in") as error:
        Secrets(tmp_path, {}).resolve(login(reference))
    assert reference in str(error.value)


@pytest.mark.parametrize("name", ["../journal.db", "/etc/hostname", "inside/../../journal.db"])
def test_a_plan_reads_no_file_outside_of_the_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "journal.db").write_text("not for plans")
    with pytest.raises(SecretMissingError, match="outside"):
        Secrets(tmp_path, {}).resolve(login(f"${{file:{name}}}"))


def test_what_was_resolved_is_hidden_in_all_that_is_said(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path, {"PROBE": "hunter2-long", "PIN": "12"})
    secrets.resolve(login("${env:PROBE}${env:PIN}"))
    said = secrets.hide({"answer": ["you sent hunter2-long"], "status": 200, "note": "12 requests"})
    assert "hunter2" not in str(said)
    assert said["status"] == 200
    assert said["note"] == "12 requests"
