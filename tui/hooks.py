"""What a demo offers beside its release: faults to switch on, and a sandbox to stop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Fault:
    """A way to break the canary: on or off, and what it does in words."""

    on: bool
    help: str


class DemoHooks(Protocol):
    """`about` is a sentence shown when the cockpit opens. All raise OSError when the sandbox does not answer."""

    about: str

    async def faults(self) -> Mapping[str, Fault]:
        """All faults by name, in the order to show them."""

    async def set_fault(self, name: str, on: bool) -> None:
        """Switch one on or off."""

    async def stop(self) -> None:
        """Stop the sandbox and what belongs to it."""
