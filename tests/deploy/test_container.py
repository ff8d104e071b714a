"""deploy/container: the Containerfile by its linter; its build stage run step by step; the engine that comes out of it.

No registry is needed: the steps run in a folder of the test's own, in place of the image.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.kube_process import free_port
from tests.support.programs import need

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy" / "container" / "Containerfile"
NOBODY = 65532


def instructions(stage: int) -> list[tuple[str, str]]:
    """(instruction, the rest) of a stage, its lines joined."""
    text = re.sub(r"^#.*\n", "", FILE.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    stages = text.split("\nFROM ")
    lines = stages[stage + 1].splitlines()[1:]
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1].strip()) for line in lines if line and not line[0].isspace()]


def test_only_numbers_name_its_user() -> None:
    assert ("USER", f"{NOBODY}:{NOBODY}") in instructions(1)


def test_everything_copied_is_let_through_and_is_there() -> None:
    let_through = set(re.findall(r"^!(.+)$", (FILE.parent / f"{FILE.name}.dockerignore").read_text(), re.MULTILINE))
    copied = [rest.split()[:-1] for stage in (0, 1) for word, rest in instructions(stage) if word == "COPY"]
    sources = {source for each in copied if not each[0].startswith("--from") for source in each}
    assert sources == let_through
    assert all((ROOT / source).exists() for source in sources)


def test_all_packages_of_the_wheel_are_copied() -> None:
    import tomllib

    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    copied = {rest.split()[0] for word, rest in instructions(0) if word == "COPY"}
    assert set(wheel["packages"]) <= copied


@pytest.mark.real
def test_its_linter_finds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    need("hadolint")
    done = subprocess.run(["hadolint", str(FILE)], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.fixture(scope="module")
def built() -> Iterator[Path]:
    """The build stage, run: `opt/laneshift` in it is what the image has, owned by root and writable by nobody else."""
    place = Path(tempfile.mkdtemp(prefix="image-", dir="/tmp"))
    place.chmod(0o755)
    (place / "src").mkdir()
    for word, rest in instructions(0):
        if word == "COPY":
            *sources, target = rest.split()
            for source in sources:
                _copy(ROOT / source, place / "src" / target / ("" if target != "./" else Path(source).name))
        elif word == "RUN":
            _run(_moved(rest, place), place / "src")
    yield place
    shutil.rmtree(place)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def _moved(command: str, place: Path) -> str:
    """The same command, with the image's folders in `place` and this Python for the image's."""
    here = re.sub(r"(?<![\w.])/(wheels|build|opt/laneshift)(?=[/ ]|$)", rf"{place}/\1", command)
    return re.sub(r"^(python|pip) ", lambda found: f"{sys.executable} -m {found[1]} ", here).replace("-m python ", "")


def _run(command: str, folder: Path) -> None:
    done = subprocess.run(["sh", "-ec", command], cwd=folder, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


@pytest.mark.real
@pytest.mark.timeout(900)
def test_its_steps_make_an_engine_that_runs_as_nobody_and_writes_nothing_to_its_code(built: Path) -> None:
    from tests.deploy.probing import answers, until_it_answers

    code = built / "opt" / "laneshift"
    port, nobody, before = free_port(), _nobody(code), _stamps(code)
    with tempfile.TemporaryDirectory(prefix="ls-", dir="/tmp") as volume:
        config = Path(volume) / "engine.yaml"
        config.write_text((FILE.parent / "engine.yaml").read_text().replace("0.0.0.0:9464", f"127.0.0.1:{port}"))
        home = Path(volume) / "engine"
        _give_away(Path(volume))
        started = subprocess.Popen(
            [str(code / "bin" / "laneshift"), *_entry_point()[1:]],
            cwd=volume,
            env={
                "PATH": f"{code / 'bin'}{os.pathsep}{os.defpath}",
                "LANESHIFT_HOME": str(home),
                "LANESHIFT_ENGINE_CONFIG": str(config),
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            user=nobody,
            group=nobody,
        )
        try:
            until_it_answers(started, port)
            assert answers(port, "/healthz")[0] == 200
            assert answers(port, "/readyz")[0] == 200
            version = answers(port, "/metrics")[1]
            assert "laneshift_build_info{" in version
        finally:
            started.terminate()
            said, _ = started.communicate(timeout=20)
        assert started.returncode == 0, said
    assert _stamps(code) == before
    assert not list(code.rglob("site-packages/pytest")), "what only tests need is left out"
    assert list(code.rglob("site-packages/psycopg")), "what PostgreSQL needs is in"


def _entry_point() -> list[str]:
    [entry] = [rest for word, rest in instructions(1) if word == "ENTRYPOINT"]
    return re.findall(r'"([^"]+)"', entry)


def _nobody(code: Path) -> int | None:
    """The image's user, where this one can take its place; Python may lie in a home that is closed to it."""
    if os.geteuid() != 0:
        return None
    try:
        subprocess.run([str(code / "bin" / "python"), "-c", ""], user=NOBODY, group=NOBODY, cwd="/", check=True)
    except (PermissionError, subprocess.CalledProcessError):
        return None
    return NOBODY


def _stamps(code: Path) -> dict[Path, int]:
    return {path: path.lstat().st_mtime_ns for path in code.rglob("*")}


def _give_away(folder: Path) -> None:
    for path in (folder, *folder.iterdir()):
        os.chown(path, NOBODY, NOBODY)
