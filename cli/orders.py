"""The orders that people give from a shell, one short command each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from cli.ending import Exit, fail, show
from cli.pick import ENDED, pick
from engine.client import EngineClient

F = TypeVar("F", bound=Callable[..., Any])

AFTERWARDS = ("tick", "untick", "waive", "note")  # what is still ordered when a release has ended

_release = click.argument("release", required=False)
_reason = click.option("--reason", default="", help="why; it is recorded")
_json = click.option("--json", "as_json", is_flag=True, help="print the result as JSON")
_item = click.argument("item")


def _chosen(release: str | None, verb: str) -> tuple[EngineClient, str]:
    client = EngineClient()
    return client, pick(str(client.folder), release, ended=ENDED if verb in AFTERWARDS else ())


def _order(release: str | None, verb: str, as_json: bool, **said: Any) -> None:
    client, ident = _chosen(release, verb)
    _give(client, ident, verb, as_json, **said)


def _give(client: EngineClient, release: str, verb: str, as_json: bool, **said: Any) -> None:
    answer = client.give(release, verb, **said)
    if not answer.accepted:
        fail(Exit.REFUSED, f"{release}: {answer.why}", release=release, order=verb, accepted=False)
    show(as_json, {"release": release, "order": verb, "accepted": True}, f"{release}: {verb} accepted")


@click.command()
@_release
@click.option("--override", is_flag=True, help="without the proof that is missing; needs --reason")
@_reason
@_json
def advance(release: str | None, override: bool, reason: str, as_json: bool) -> None:
    """Go on: from preflight to the first stage, from a stage that is ready to the next, from the last to the end."""
    client, ident = _chosen(release, "advance")
    seen = client.look(ident)
    meant_for = {"stage": seen["stage"], "revision": seen["revision"]}
    _give(client, ident, "advance", as_json, **meant_for, override=override, reason=reason)


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
    client, ident = _chosen(release, verb)
    revision = client.look(ident)["revision"]
    _give(client, ident, verb, as_json, item=item, reason=words, revision=revision)


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
