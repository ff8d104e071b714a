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
_items = click.argument("items", metavar="ITEM...", nargs=-1, required=True)


def _chosen(release: str | None, verb: str) -> tuple[EngineClient, str]:
    client = EngineClient()
    return client, pick(client.address, release, ended=ENDED if verb in AFTERWARDS else ())


def _order(release: str | None, verb: str, as_json: bool, **said: Any) -> None:
    client, ident = _chosen(release, verb)
    _give(client, ident, verb, as_json, **said)


def _forward(release: str | None, verb: str, as_json: bool, **said: Any) -> None:
    """An order that moves a release on: meant for the stage and the revision that it has now, and for no other."""
    client, ident = _chosen(release, verb)
    seen = client.look(ident)
    _give(client, ident, verb, as_json, stage=seen["stage"], revision=seen["revision"], **said)


def _give(client: EngineClient, release: str, verb: str, as_json: bool, **said: Any) -> None:
    answer = client.give(release, verb, **said)
    about = {"item": said["item"]} if "item" in said else {}
    order = " ".join((verb, *about.values()))
    if not answer.accepted:
        why = f"{order}: {answer.why}" if about else answer.why
        fail(Exit.REFUSED, f"{release}: {why}", release=release, order=verb, **about, accepted=False)
    given = {"release": release, "order": verb, **about, "accepted": True}
    show(as_json, given, f"{release}: {order} accepted")


@click.command()
@_release
@click.option("--override", is_flag=True, help="without the proof that is missing; needs --reason")
@_reason
@_json
def advance(release: str | None, override: bool, reason: str, as_json: bool) -> None:
    """Go on: from preflight to the first stage, from a stage that is ready to the next, from the last to the end."""
    _forward(release, "advance", as_json, override=override, reason=reason)


@click.command()
@_release
@_reason
@_json
def approve(release: str | None, reason: str, as_json: bool) -> None:
    """Approve the gate that the release waits at, for the revision that runs now. A second approval comes from another
    person."""
    _forward(release, "approve", as_json, reason=reason)


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
    _forward(release, "resume", as_json, reason=reason)


@click.command()
@_release
@_reason
@_json
def retry(release: str | None, reason: str, as_json: bool) -> None:
    """Once more: the check that failed, the shift that is stuck, the roll back that failed."""
    _forward(release, "retry", as_json, reason=reason)


@click.command()
@_release
@_reason
@_json
def cancel(release: str | None, reason: str, as_json: bool) -> None:
    """End a release before any traffic moved."""
    _order(release, "cancel", as_json, reason=reason)


def _on_items(release: str, verb: str, items: tuple[str, ...], words: str, as_json: bool) -> None:
    client, ident = _chosen(release, verb)
    revision = client.look(ident)["revision"]
    for item in items:
        _give(client, ident, verb, as_json, item=item, reason=words, revision=revision)


@click.command()
@click.argument("release")
@_items
@click.option("--note", "words", default="", help="what you saw")
@_json
def tick(release: str, items: tuple[str, ...], words: str, as_json: bool) -> None:
    """Tick items of the checklist, as done by you; the first that is refused ends it."""
    _on_items(release, "tick", items, words, as_json)


@click.command()
@click.argument("release")
@_items
@_json
def untick(release: str, items: tuple[str, ...], as_json: bool) -> None:
    """Open items of the checklist again."""
    _on_items(release, "untick", items, "", as_json)


@click.command()
@click.argument("release")
@_items
@click.option("--reason", "--note", "words", required=True, help="why it may be left out; it is recorded")
@_json
def waive(release: str, items: tuple[str, ...], words: str, as_json: bool) -> None:
    """Go on without items of the checklist."""
    _on_items(release, "waive", items, words, as_json)


@click.command()
@click.argument("release")
@click.argument("text", nargs=-1, required=True)
@_json
def note(release: str, text: tuple[str, ...], as_json: bool) -> None:
    """Write a note into the release's journal."""
    _order(release, "note", as_json, reason=" ".join(text))
