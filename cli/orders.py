"""The orders that people give from a shell, one short command each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from cli.ending import Exit, fail, show
from cli.pick import pick
from engine.client import EngineClient

F = TypeVar("F", bound=Callable[..., Any])

_release = click.argument("release", required=False)
_reason = click.option("--reason", default="", help="why; it is recorded")
_json = click.option("--json", "as_json", is_flag=True, help="print the result as JSON")
_item = click.argument("item")


def _order(release: str | None, verb: str, as_json: bool, **said: Any) -> None:
    client = EngineClient()
    ident = pick(client, release, ended=verb in ("tick", "untick", "waive", "note"))
    answer = client.give(ident, verb, **said)
    if not answer.accepted:
        show(as_json, {"release": ident, "order": verb, "accepted": False, "why": answer.why}, "") if as_json else None
        fail(Exit.REFUSED, f"{ident}: {answer.why}")
    show(as_json, {"release": ident, "order": verb, "accepted": True}, f"{ident}: {verb} accepted")


@click.command()
@_release
@click.option("--override", is_flag=True, help="without the proof that is missing; needs --reason")
@_reason
@_json
def advance(release: str | None, override: bool, reason: str, as_json: bool) -> None:
    """Go on: from preflight to the first stage, from a stage that is ready to the next, from the last to the end."""
    client = EngineClient()
    ident = pick(client, release)
    seen = client.look(ident)
    _order(ident, "advance", as_json, stage=seen["stage"], revision=seen["revision"], override=override, reason=reason)


@click.command()
@_release
@_json
def pause(release: str | None, as_json: bool) -> None:
    """Stop advancing, and nothing else: a failing canary is still rolled back."""
    _order(release, "pause", as_json)


@click.command()
@_release
@_reason
@_json
def resume(release: str | None, reason: str, as_json: bool) -> None:
    """Advance again; with an open question, answer it with: keep the canary where it is (needs --reason)."""
    _order(release, "resume", as_json, reason=reason)


@click.command()
@_release
@_reason
@_json
def retry(release: str | None, reason: str, as_json: bool) -> None:
    """Once more: the check that failed, the shift that is stuck, the roll back that failed."""
    _order(release, "retry", as_json, reason=reason)


@click.command()
@_release
@_reason
@_json
def cancel(release: str | None, reason: str, as_json: bool) -> None:
    """End a release before any traffic moved."""
    _order(release, "cancel", as_json, reason=reason)


def _on_item(release: str, verb: str, item: str, words: str, as_json: bool) -> None:
    client = EngineClient()
    ident = pick(client, release, ended=True)
    revision = client.look(ident)["revision"]
    _order(ident, verb, as_json, item=item, reason=words, revision=revision)


@click.command()
@click.argument("release")
@_item
@click.option("--note", "words", default="", help="what you saw")
@_json
def tick(release: str, item: str, words: str, as_json: bool) -> None:
    """Tick an item of the checklist, as done by you."""
    _on_item(release, "tick", item, words, as_json)


@click.command()
@click.argument("release")
@_item
@_json
def untick(release: str, item: str, as_json: bool) -> None:
    """Open an item of the checklist again."""
    _on_item(release, "untick", item, "", as_json)


@click.command()
@click.argument("release")
@_item
@click.option("--reason", "words", required=True, help="why it may be left out; it is recorded")
@_json
def waive(release: str, item: str, words: str, as_json: bool) -> None:
    """Go on without an item of the checklist."""
    _on_item(release, "waive", item, words, as_json)


@click.command()
@click.argument("release")
@click.argument("text", nargs=-1, required=True)
@_json
def note(release: str, text: tuple[str, ...], as_json: bool) -> None:
    """Write a note into the release's journal."""
    _order(release, "note", as_json, reason=" ".join(text))
