"""A gate: what people must say before the release goes on, and until when."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from engine.events import GateRule
from engine.plan.fields import Duration, Whole
from engine.plan.part import PlanPart, fault, raise_faults


class Gate(PlanPart):
    """A decision of people. Approvals are of one stage and one revision, each of another person; no override stands for
    them, and safety is never off while they are waited for."""

    approvers: Annotated[Whole, Field(ge=0, le=20)] = Field(
        default=0, description="How many people must approve, each of them another."
    )
    expires: Duration | None = Field(
        default=None,
        description="How long they have, from when everything else is proven; without it the gate stays open to them.",
    )
    then: Literal["hold", "rollback"] = Field(
        default="hold",
        description="What follows when it expires: `hold` until `retry` opens it anew, or `rollback`, which cancels a "
        "release whose traffic has not moved.",
    )

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        if not self.approvers and self.expires is None:
            allowed = "approvers, expires, or both: a gate that asks for neither is none"
            raise_faults([fault((), {}, allowed, found="a gate without them")])
        if self.expires is not None and self.expires <= 0:
            raise_faults([fault(("expires",), "0s", "more than 0s")])
        if self.expires is None and self.then == "rollback":
            raise_faults([fault(("then",), self.then, "`rollback` with a time at which the gate `expires`")])
        return self

    def rule(self) -> GateRule:
        """The gate as the state machine knows it."""
        return GateRule(self.approvers, self.expires, self.then)
