"""YAML text to a tree of nodes with their marks.

The parser is libyaml's; only its events are used, in a loop that is not recursive: composing nodes recurses in C, and a
file of 200,000 brackets ends the process.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

import yaml

from engine.plan.literal_secrets import hide
from engine.plan.problem import PlanError, Problem, nearest, printable

MOST_VALUES: Final = 20_000
MOST_LEVELS: Final = 40


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the file, counted from 1."""

    line: int
    column: int


@dataclass(slots=True)
class Node:
    """One node of the file. A mapping holds pairs, a sequence nodes; an alias is the anchored node itself."""

    kind: str
    mark: Mark
    text: str = ""
    plain: bool = False
    items: list[Node] = field(default_factory=list)
    anchor: str | None = None
    whole: bool = True


def document_of(text: str, file: str) -> Node | None:
    """The root of the one document in this text; None when there is none. Raises PlanError."""
    if not yaml.__with_libyaml__:
        hint = "install PyYAML's wheel: pip install --force-reinstall --only-binary :all: pyyaml"
        raise PlanError([Problem(file, 0, 0, "", "PyYAML without libyaml", "PyYAML with libyaml", hint)])
    try:
        return _Builder(file).document(text)
    except yaml.YAMLError as error:
        raise PlanError([_syntax_problem(error, text, file)]) from None


def _syntax_problem(error: yaml.YAMLError, text: str, file: str) -> Problem:
    allowed = "YAML"
    if isinstance(error, yaml.reader.ReaderError):
        before = text.encode()[: error.position].decode(errors="ignore")  # libyaml counts bytes
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        return Problem(file, line, column, "", f"the character U+{error.character:04X}", "printable text")
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        mark = error.problem_mark
        context = f" {error.context}" if error.context else ""
        said = hide(printable(f"{error.problem}{context}", 120))
        found = said.removeprefix("found ") if said.startswith("found ") else f"a fault: {said}"
        hint = "a text that holds `: ` or ` #`, or begins with one of @ ` % & * ! | > { [, stands in quotes"
        return Problem(file, mark.line + 1, mark.column + 1, "", found, allowed, hint)
    return Problem(file, 0, 0, "", "something else", allowed)


class _Builder:
    """Events to nodes."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._open: list[Node] = []
        self._anchors: dict[str, Node] = {}
        self._root: Node | None = None
        self._documents = 0
        self._nodes = 0

    def document(self, text: str) -> Node | None:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            if isinstance(event, yaml.DocumentStartEvent):
                self._documents += 1
                if self._documents > 1:
                    self._stop(_mark(event), "a second document", "one plan in a file")
            elif isinstance(event, yaml.AliasEvent):
                self._add(self._aliased(event))
            elif isinstance(event, yaml.ScalarEvent):
                self._add(self._begun(event, "scalar"))
            elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
                self._enter(self._begun(event, "mapping" if isinstance(event, yaml.MappingStartEvent) else "list"))
            elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
                self._open.pop().whole = True
        return self._root

    def _begun(self, event: Any, kind: str) -> Node:
        mark = _mark(event)
        if event.tag is not None:
            self._stop(mark, f"the tag {printable(hide(event.tag))}", "values without a tag")
        node = Node(kind, mark, anchor=event.anchor)
        if kind == "scalar":
            node.text, node.plain = event.value, not event.style
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _enter(self, node: Node) -> None:
        self._add(node)
        node.whole = False
        self._open.append(node)
        if len(self._open) > MOST_LEVELS:
            self._stop(
                node.mark, f"more than {MOST_LEVELS} levels of lists and mappings", f"{MOST_LEVELS} levels at most"
            )

    def _aliased(self, event: yaml.AliasEvent) -> Node:
        anchor = str(event.anchor)
        name = printable(hide(anchor))
        node = self._anchors.get(anchor)
        if node is None:
            self._stop(_mark(event), f"*{name}", "an anchor that stands above", nearest(name, map(hide, self._anchors)))
        if not node.whole:
            self._stop(_mark(event), f"*{name} inside &{name} itself", "an anchor that ends above")
        return node

    def _add(self, node: Node) -> None:
        self._nodes += 1
        if self._nodes > 2 * MOST_VALUES:  # keys are nodes too
            self._stop(node.mark, f"more than {MOST_VALUES:,} values", "a plan of usual size")
        if self._open:
            self._open[-1].items.append(node)
        else:
            self._root = node

    def _stop(self, mark: Mark, found: str, allowed: str, hint: str = "") -> NoReturn:
        raise PlanError([Problem(self._file, mark.line, mark.column, "", found, allowed, hint)])


def _mark(event: Any) -> Mark:
    return Mark(event.start_mark.line + 1, event.start_mark.column + 1)
