"""What a plan writes under a router's name. Values only; the routers themselves are imported when a release runs."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from engine.plan.fields import Name, Url
from engine.plan.part import PlanPart, fault, raise_faults
from engine.plan.stages import Strategy

Finish = Literal["swap", "copy", "handover"]
Scale = Literal["proportional", "none"]


class RouterConfig(PlanPart):
    """What every router's configuration says of its kind, beside what a plan writes.

    strategies, finishes: which of a plan's this router can do
    holds:     it has something to give back when a release is over (`Router.let_go`)
    rehearses: it can try the way back's write without effect (`Router.rehearse`)
    vitals:    the readings of the canary's pods that it can see (`engine.vitals`)
    unwise:    why a plan should not choose it, a sentence each
    only_watched: nothing of it can be moved: a release of it is started with --observe
    """

    strategies: ClassVar[frozenset[Strategy]] = frozenset({"canary"})
    finishes: ClassVar[frozenset[Finish]] = frozenset({"swap"})
    holds: ClassVar[bool] = False
    rehearses: ClassVar[bool] = False
    vitals: ClassVar[tuple[str, ...]] = ()
    unwise: ClassVar[tuple[str, ...]] = ()
    only_watched: ClassVar[bool] = False


class SandboxConfig(RouterConfig):
    """The gateway of the embedded sandbox, by its admin endpoint."""

    url: Url = Field(default="http://127.0.0.1:7480", description="The gateway's address.")
    stable: Name = Field(default="shop-a", description="The backend that serves when the release starts.")
    canary: Name = Field(default="shop-b", description="The backend that runs the new version.")

    @model_validator(mode="after")
    def _two_sides(self) -> Self:
        if self.stable == self.canary:
            raise_faults([fault(("canary",), self.canary, f"another backend than stable's, {self.stable}")])
        return self
