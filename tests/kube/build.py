"""Builds the Kubernetes control plane of the tests from Go modules: once, into ~/.cache/laneshift, keyed by versions.

    python tests/kube/build.py

prints the folder: `bin/` with the programs, `crds/` with the released definitions. Needs Go as `go.mod` says; nothing
of the modules is committed but their sums.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

HERE = Path(__file__).parent
MODULES = HERE / "modules"
GO_AT_LEAST = (1, 26)
KUBERNETES = "1.36.3"
_STAMP = "k8s.io/component-base/version"  # without it the server calls itself v0.0.0-master, which clients refuse

# module of ours -> (packages, extra linker flags)
PROGRAMS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "kubernetes": (
        (
            "go.etcd.io/etcd/server/v3",
            "k8s.io/kubernetes/cmd/kube-apiserver",
            "k8s.io/kubernetes/cmd/kube-controller-manager",
            "k8s.io/kubernetes/cmd/kube-scheduler",
            "k8s.io/kubernetes/cmd/kubectl",
        ),
        f"-X {_STAMP}.gitVersion=v{KUBERNETES} -X {_STAMP}.gitMajor=1 -X {_STAMP}.gitMinor=36",
    ),
    "kwok": (("sigs.k8s.io/kwok/cmd/kwok",), ""),
    "argo-rollouts": (
        (
            "github.com/argoproj/argo-rollouts/cmd/rollouts-controller",
            "github.com/argoproj/argo-rollouts/cmd/kubectl-argo-rollouts",
        ),
        "",
    ),
    "flagger": (("github.com/fluxcd/flagger/cmd/flagger",), ""),
}
RENAMED = {"server": "etcd"}  # Go names a program after the last part of its package

# released definitions -> where a module keeps them
CRDS: Mapping[str, tuple[str, str]] = {
    "gateway-api": ("sigs.k8s.io/gateway-api@v1.6.1", "config/crd/standard/*.yaml"),
    "istio": ("istio.io/api@v1.31.1", "kubernetes/customresourcedefinitions.gen.yaml"),
    "argo-rollouts": ("github.com/argoproj/argo-rollouts@v1.10.1", "manifests/crds/*.yaml"),
    "flagger": ("github.com/fluxcd/flagger@v1.44.0", "artifacts/flagger/crd.yaml"),
}


class CannotBuildError(RuntimeError):
    """Go is missing, too old, or a build failed; says which."""


def key() -> str:
    """What the result depends on: our module files and this script."""
    digest = hashlib.sha256()
    for path in [Path(__file__), *sorted(MODULES.rglob("go.*"))]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def folder() -> Path:
    """Where the programs of this version are, built or not."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "laneshift" / f"kube-{key()}"


def ready() -> bool:
    """Have they been built?"""
    return (folder() / "done").exists()


def build() -> Path:
    """Build what is missing. Raises CannotBuildError."""
    home = folder()
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if ready():
            return home
        _need_go()
        for module, (packages, flags) in PROGRAMS.items():
            _programs(home / "bin", module, packages, flags)
        for name, (module, pattern) in CRDS.items():
            _definitions(home / "crds" / name, module, pattern)
        (home / "done").touch()
    return home


def _need_go() -> None:
    if shutil.which("go") is None:
        raise CannotBuildError("Go is not installed: the real Kubernetes of the tests is built with it")
    version = _run(["go", "env", "GOVERSION"], HERE).strip().removeprefix("go")
    if tuple(int(part) for part in version.split(".")[:2]) < GO_AT_LEAST:
        wanted = ".".join(map(str, GO_AT_LEAST))
        raise CannotBuildError(f"Go {version} is too old: Kubernetes {KUBERNETES} wants {wanted} or newer")


def _programs(bin_: Path, module: str, packages: tuple[str, ...], flags: str) -> None:
    for package in packages:
        built = bin_ / RENAMED.get(_base(package), _base(package))
        if built.exists():
            continue
        began = time.monotonic()
        _say(f"building {built.name} ...")
        bin_.mkdir(exist_ok=True)
        draft = built.with_suffix(".new")
        _run(["go", "build", "-ldflags", f"-s -w {flags}", "-o", str(draft), package], MODULES / module)
        draft.replace(built)
        _say(f"built {built.name} in {time.monotonic() - began:.0f} s")


def _base(package: str) -> str:
    parts = package.split("/")
    return parts[-2] if parts[-1].startswith("v") and parts[-1][1:].isdigit() else parts[-1]


def _definitions(target: Path, module: str, pattern: str) -> None:
    home = Path(json.loads(_run(["go", "mod", "download", "-json", module], MODULES))["Dir"])
    target.mkdir(parents=True, exist_ok=True)
    for found in home.glob(pattern):
        shutil.copyfile(found, target / found.name)


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(
        command, cwd=folder, env=os.environ | {"CGO_ENABLED": "0"}, text=True, capture_output=True, check=False
    )
    if done.returncode != 0:
        raise CannotBuildError(f"{' '.join(command)}: {done.stderr.strip()[-2000:]}")
    return done.stdout


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        print(build())
    except CannotBuildError as error:
        sys.exit(f"make kube: {error}")
