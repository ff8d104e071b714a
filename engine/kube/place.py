"""Where an object of Kubernetes says who gets the traffic, and the operations of JSON Patch that change it there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from engine.kube.marks import INTENT, Operation, annotate, marks_of, pointer

Object = Mapping[str, Any]


class Place(ABC):
    """What a reading of the object told; a way back is written by it without reading anew.

    annotated: the object has annotations
    """

    annotated: bool

    @abstractmethod
    def tests(self) -> list[Operation]:
        """That the places are still those of these names; nothing of weights, so that a way back holds at any."""

    @abstractmethod
    def weights(self, canary: int) -> list[Operation]:
        """That the canary gets this many percent."""

    @abstractmethod
    def jq(self) -> list[str]:
        """What `weights` writes, as jq paths."""

    @abstractmethod
    def pointers(self) -> list[str]:
        """The same as JSON Pointers."""

    def marked(self, values: Mapping[str, str]) -> list[Operation]:
        """That the object carries these annotations."""
        return annotate(values, first=not self.annotated)

    def unmoved(self, compared: str) -> list[Operation]:
        """That the object is still as `compared` says, which is what `compared_with` made of it."""
        generation, _, intent = compared.partition(" ")
        return [{"op": "test", "path": "/metadata/generation", "value": int(generation)}, self.unwritten(intent)]

    def unwritten(self, intent: str) -> Operation:
        """That this is still the number of the last write; empty for none."""
        if intent:
            return {"op": "test", "path": pointer("metadata", "annotations", INTENT), "value": intent}
        where = pointer("metadata", "annotations", INTENT) if self.annotated else "/metadata/annotations"
        return {"op": "test", "path": where, "value": None}  # absent


def compared_with(item: Object) -> str:
    """What a raise is compared with: the spec's generation and the last number written, which a roll back changes."""
    return f"{item['metadata']['generation']} {marks_of(item).intent}".rstrip()
