from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from cli.main import main
from tests.cli.fake_engine import answering, state_folder


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The object on the last line."""
        return json.loads(self.out.splitlines()[-1])


@pytest.fixture
def home(monkeypatch):
    """The state folder of commands; no engine runs there."""
    with state_folder(monkeypatch) as folder:
        yield folder


@pytest.fixture
def engine(home):
    """A fake engine that commands find."""
    with answering(home) as fake:
        yield fake


@pytest.fixture
def laneshift(home, capsys, monkeypatch) -> Callable[..., Ended]:
    """Run a command line in this process, without a terminal."""
    monkeypatch.setattr("sys.stdin", io.StringIO())

    def run(*arguments: str) -> Ended:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        said = capsys.readouterr()
        return Ended(int(ended.value.code or 0), said.out, said.err)

    return run
