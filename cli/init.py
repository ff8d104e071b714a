"""`laneshift init`: a plan by asking, or from what a cluster has."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from cli.ending import Exit, fail, plain, show

if TYPE_CHECKING:
    from engine.importing.draft import Draft, Part

MANIFESTS = "k8s"
USUAL = ("interval",)  # keys whose usual value is right for nearly everybody
FIRST_ROUTER = "gateway_api"
FIRST_SOURCE = "prometheus"


@click.command(name="init")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), default="plan.yaml")
@click.option(
    "--from", "origin", metavar="KIND/NAME", help="rollout/, canary/, httproute/ or deployment/NAME of a cluster"
)
@click.option("-n", "--namespace", help="with --from: its namespace; else the context's")
@click.option("--context", help="with --from: the kubeconfig's context; else its current one")
@click.option("--service", help="the service's name, not to be asked for it")
@click.option("--router", help="the kind of router, not to be asked for it")
@click.option("--source", help="the kind of source, not to be asked for it")
@click.option("--yes", is_flag=True, help="ask nothing: take what is suggested")
@click.option("--force", is_flag=True, help="write over files that are there")
@click.option("--json", "as_json", is_flag=True, help="print what was written as JSON")
def init(
    file: Path,
    origin: str | None,
    namespace: str | None,
    context: str | None,
    service: str | None,
    router: str | None,
    source: str | None,
    yes: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Write a plan to FILE (plan.yaml), with comments that say where each value is from and what to fill in.

    It asks a few questions, or reads a cluster and takes over what is there: weights, intervals, thresholds, queries.
    What the cluster lacks for a release is written to the folder k8s beside FILE, for git. Nothing is applied.
    """
    if origin is None and (namespace or context):
        raise click.UsageError("-n and --context say where --from looks")
    if origin is not None:
        draft = _imported(origin, namespace, context)
    else:
        draft = _answered(service, router, source, _Asking(silent=yes))
    _write(file, draft, force=force, as_json=as_json)


# --- from a cluster


def _imported(origin: str, namespace: str | None, context: str | None) -> Draft:
    from engine.importing.draft import ImportingError
    from engine.importing.reading import KINDS, imported

    kind, _, name = origin.partition("/")
    if kind not in KINDS or not name:
        raise click.UsageError(f"--from takes {', '.join(f'{one}/NAME' for one in KINDS)}, not {plain(origin)}")
    try:
        return asyncio.run(imported(kind, name, namespace, context))
    except ImportingError as error:
        fail(Exit.BAD_INPUT, str(error))


# --- by asking


class _Asking:
    """Asks on standard error, or takes what is suggested."""

    def __init__(self, *, silent: bool) -> None:
        self._silent = silent

    def text(self, question: str, suggested: str, valid: Callable[[str], None]) -> str:
        """A line of text that `valid` takes; it raises click.UsageError for one that it does not."""

        def checked(written: str) -> str:
            valid(written.strip())
            return written.strip()

        return self._answer(question, suggested, checked)

    def one_of(self, question: str, known: tuple[str, ...], suggested: str) -> str:
        """One of the known words."""
        return self._answer(question, suggested, click.Choice(known))

    def _answer(self, question: str, suggested: str, kind: Any) -> str:
        if self._silent:
            return suggested
        takes = {"type": kind} if isinstance(kind, click.ParamType) else {"value_proc": kind}
        try:
            answer: str = click.prompt(question, default=suggested, err=True, **takes)
        except click.Abort:
            if sys.stdin.isatty():
                raise
            fail(Exit.BAD_INPUT, "nobody answers on standard input: --yes takes what is suggested")
        return answer


def _answered(service: str | None, router: str | None, source: str | None, asking: _Asking) -> Draft:
    from engine.importing.draft import Draft, service_name

    def named(written: str) -> None:
        if service_name(written) != written:
            raise click.UsageError("small letters, digits and hyphens, such as checkout")

    if service is not None:
        named(service)
    name = service or asking.text("The service", service_name(Path.cwd().name), named)
    return Draft(
        service=name,
        router=_part("router", router, FIRST_ROUTER, "What moves its traffic", name, asking),
        source=_part("source", source, FIRST_SOURCE, "What its metrics are read from", name, asking),
        origin="answers",
        notes=["the values below that were suggested and not answered, and what says FILL IN"],
    )


def _part(
    family: Literal["router", "source"], kind: str | None, first: str, question: str, service: str, asking: _Asking
) -> Part:
    """The kind, and an answer for each of its keys that is a text."""
    from engine.importing.draft import Part
    from engine.importing.offered import offered, suggested
    from engine.registry import config_of

    known = offered(family)
    if kind is not None and kind not in known:
        raise click.UsageError(f"--{family} takes {', '.join(known)}, not {plain(kind)}")
    kind = kind or asking.one_of(question, known, first if first in known else known[0])
    keys, config = suggested(kind, service), config_of(family, kind)
    for key, value in keys.items():
        if isinstance(value, str) and key not in USUAL:
            means = config.model_fields[key].description or key
            keys[key] = asking.text(f"  {key}: {means}", value, _valid(config, keys, key))
    return Part(kind, keys)


def _valid(config: Any, keys: dict[str, Any], key: str) -> Callable[[str], None]:
    """Raises click.UsageError that says what is allowed for this key."""
    from pydantic import ValidationError

    def valid(written: str) -> None:
        try:
            config.model_validate({**keys, key: written})
        except ValidationError as error:
            found = error.errors(include_url=False)[0]
            raise click.UsageError(str(found.get("ctx", {}).get("allowed") or found["msg"])) from None

    return valid


# --- writing


def _write(file: Path, draft: Draft, *, force: bool, as_json: bool) -> None:
    from engine.importing.writing import plan_text
    from engine.plan.model import parse_plan
    from engine.plan.problem import PlanError

    text = plan_text(draft)
    try:
        parse_plan(text.encode(), str(file))
    except PlanError as error:
        fail(Exit.BAD_INPUT, f"what is there makes no valid plan, so nothing was written:\n{error}")
    texts = {file: text} | {file.parent / MANIFESTS / name: content for name, content in draft.files.items()}
    there = [str(path) for path in texts if path.exists()]
    if there and not force:
        fail(Exit.REFUSED, f"there is {', '.join(there)} already: --force writes over it")
    try:
        for path, content in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
    except OSError as error:
        fail(Exit.BAD_INPUT, f"{error.filename}: {error.strerror}")
    written = [str(path) for path in texts]
    show(as_json, {"written": written, "to_do": draft.notes}, _said(file, written, draft.notes))


def _said(file: Path, written: list[str], notes: list[str]) -> str:
    lines = [f"wrote {path}" for path in written]
    if notes:
        lines += ["still to do", *(f"  {note}" for note in notes)]
    apply = [f"  kubectl apply -f {file.parent / MANIFESTS}  # once you have read it"] if len(written) > 1 else []
    return "\n".join([*lines, "then", *apply, f"  laneshift lint {file}", f"  laneshift doctor {file}"])
